#include "kernels/ops/elementwise.h"

#include "kernels/cpu/storage.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

// Elements that one thread processes at a time.
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
    parallel_blocks(n, kBlock, 2, [&](std::int64_t begin, std::int64_t end) {
      run_vectorized<Map<F, T>>(static_cast<const T*>(a) + begin, static_cast<const T*>(b) + begin,
                                static_cast<T*>(out) + begin, end - begin);
    });
  });
}

}  // namespace

template <>
void run(const AddArgs& args) {
  map<Sum>(args.dtype, args.a, args.b, args.out, args.n);
}

template <>
void run(const ReluArgs& args) {
  map<Positive>(args.dtype, args.x, args.x, args.y, args.n);
}

template <>
void run(const ReluBackwardArgs& args) {
  map<Masked>(args.dtype, args.y, args.dy, args.dx, args.n);
}

}  // namespace tdds::cpu
