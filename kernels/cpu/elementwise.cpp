#include "kernels/elementwise.h"

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vectorize.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

// Elements that one thread takes at a time.
constexpr std::int64_t kBlock = 16384;

struct Sum {
  static float of(float a, float b) { return a + b; }
};
struct Positive {
  static float of(float x, float) { return x < 0 ? 0 : x; }  // a NaN stays
};
struct Masked {
  static float of(float y, float dy) { return y > 0 ? dy : 0; }
};

template <class F, class T>
struct Map {
  [[gnu::always_inline]] static inline void run(const T* a, const T* b, T* out, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = from_float<T>(F::of(to_float(a[i]), to_float(b[i])));
  }
};

// out[i] = F::of(a[i], b[i]); out may be a or b.
template <class F>
void map(DType dtype, const void* a, const void* b, void* out, std::int64_t n) {
  with_storage(dtype, [&]<class T>(T) {
    parallel_blocks(n, kBlock, [&](std::int64_t begin, std::int64_t end) {
      run_vectorized<Map<F, T>>(static_cast<const T*>(a) + begin, static_cast<const T*>(b) + begin,
                                static_cast<T*>(out) + begin, end - begin);
    });
  });
}

void run_add(const AddArgs& args) {
  map<Sum>(args.dtype, args.a, args.b, args.out, args.n);
}

void run_relu(const ReluArgs& args) {
  map<Positive>(args.dtype, args.x, args.x, args.y, args.n);
}

void run_relu_backward(const ReluBackwardArgs& args) {
  map<Masked>(args.dtype, args.y, args.dy, args.dx, args.n);
}

void check_args(const char* op, DType dtype, std::int64_t n, bool complete) {
  check_storage(op, "activations", dtype);
  check(n >= 0, "{}: {} elements; a count is at least 0", op, n);
  check(complete, "{}: no pointer may be null", op);
}

}  // namespace

void add(Stream& stream, const AddArgs& args) {
  check_args("add", args.dtype, args.n, args.a && args.b && args.out);
  enqueue(stream, "add", args, run_add);
}

void relu(Stream& stream, const ReluArgs& args) {
  check_args("relu", args.dtype, args.n, args.x && args.y);
  enqueue(stream, "relu", args, run_relu);
}

void relu_backward(Stream& stream, const ReluBackwardArgs& args) {
  check_args("relu_backward", args.dtype, args.n, args.y && args.dy && args.dx);
  enqueue(stream, "relu_backward", args, run_relu_backward);
}

}  // namespace tdds::cpu
