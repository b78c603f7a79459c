// Gradient accumulation; contract in kernels/ops/accumulate.h.
//
// Parallel over: parameters, 16 bytes of gradients per thread.
// Held in:       registers.
// Bytes per row: per parameter, its gradient read (2 or 4) and the sum read (except the first time) and
//                written (8).
// Deterministic: no parameter depends on another.

#include "kernels/ops/accumulate.h"

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/vectors.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    accumulate_kernel(const T* gradient, float* sum, std::int64_t n, bool first) {
  wait_for_previous();
  for_each_vector<kVector<T>>(n, [&](auto count, std::int64_t i) {
    constexpr int kCount = decltype(count)::value;
    Floats<kCount> values = load<kCount>(gradient + i);
    if (!first) {
      const Floats<kCount> before = load<kCount>(sum + i);
      for (int j = 0; j < kCount; ++j) values.v[j] += before.v[j];
    }
    store<kCount>(sum + i, values);
  });
}

}  // namespace

template <>
void run(Stream& stream, const AccumulateArgs& args) {
  const char* name = "accumulate";
  with_float_type(name, args.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, name, accumulate_kernel<T>, {blocks_for(args.n, kThreads * kVector<T>)}, {kThreads}, 0,
           static_cast<const T*>(args.gradient), args.sum, args.n, args.first);
  });
}

}  // namespace tdds::TDDS_GPU
