// Sum, ReLU and its gradient over n values; contract in kernels/ops/elementwise.h.
//
// Parallel over: values, 16 bytes of each operand per thread.
// Held in:       registers.
// Bytes per row: a value is read once from each operand and written once.
// Deterministic: no value depends on another.

#include "kernels/ops/elementwise.h"

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/vectors.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 256;

struct Add {
  __device__ static float apply(float a, float b) { return a + b; }
};
struct Relu {
  __device__ static float apply(float x, float) { return x < 0 ? 0.0f : x; }  // a NaN stays
};
struct ReluBackward {
  __device__ static float apply(float y, float dy) { return y > 0 ? dy : 0.0f; }
};

// out may be a or b: a thread reads its values before it writes them.
template <class Op, class T>
__global__ void __launch_bounds__(kThreads) map_kernel(const T* a, const T* b, T* out, std::int64_t n) {
  wait_for_previous();
  for_each_vector<kVector<T>>(n, [&](auto count, std::int64_t i) {
    constexpr int kCount = decltype(count)::value;
    const Floats<kCount> left = load<kCount>(a + i), right = load<kCount>(b + i);
    Floats<kCount> result;
    for (int j = 0; j < kCount; ++j) result.v[j] = Op::apply(left.v[j], right.v[j]);
    store<kCount>(out + i, result);
  });
}

template <class Op>
void map(Stream& stream, const char* name, DType dtype, const void* a, const void* b, void* out,
         std::int64_t n) {
  with_float_type(name, dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, name, map_kernel<Op, T>, {blocks_for(n, kThreads * kVector<T>)}, {kThreads}, 0,
           static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(out), n);
  });
}

}  // namespace

template <>
void run(Stream& stream, const AddArgs& args) {
  map<Add>(stream, "add", args.dtype, args.a, args.b, args.out, args.n);
}
template <>
void run(Stream& stream, const ReluArgs& args) {
  map<Relu>(stream, "relu", args.dtype, args.x, args.x, args.y, args.n);
}
template <>
void run(Stream& stream, const ReluBackwardArgs& args) {
  map<ReluBackward>(stream, "relu_backward", args.dtype, args.y, args.dy, args.dx, args.n);
}

}  // namespace tdds::TDDS_GPU
