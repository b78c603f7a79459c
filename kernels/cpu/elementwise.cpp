#include "kernels/elementwise.h"

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

// Elements that one thread takes at a time.
constexpr std::int64_t kBlock = 16384;

// out[i] = f(a[i], b[i]); out may be a or b.
template <class F>
void map(const void* a, const void* b, void* out, std::int64_t n, F f) {
  const auto *left = static_cast<const float*>(a), *right = static_cast<const float*>(b);
  auto* result = static_cast<float*>(out);
  parallel_blocks(n, kBlock, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) result[i] = f(left[i], right[i]);
  });
}

void run_add(const AddArgs& args) {
  map(args.a, args.b, args.out, args.n, [](float a, float b) { return a + b; });
}

void run_relu(const ReluArgs& args) {
  map(args.x, args.x, args.y, args.n, [](float x, float) { return x < 0 ? 0 : x; });
}

void run_relu_backward(const ReluBackwardArgs& args) {
  map(args.y, args.dy, args.dx, args.n, [](float y, float dy) { return y > 0 ? dy : 0; });
}

void check_args(const char* op, DType dtype, std::int64_t n, bool complete) {
  check(dtype == DType::kF32, "{}: the CPU has no {} activations; use f32", op, name_of(dtype));
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
