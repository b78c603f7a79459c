// SGD over a flat block, and the search for non-finite gradients; contract in kernels/ops/sgd.h.
//
// Parallel over: parameters, 16 bytes of gradients per thread.
// Held in:       registers.
// Bytes per row: per parameter, w and v read and written (16), its gradient read (2 or 4) and its compute
//                copy written (2); check_finite reads the gradient once more, mostly from L2.
// Deterministic: no parameter depends on another; the flag is an integer or.

#include "kernels/ops/sgd.h"

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/vectors.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 256;

template <class Gradient, class Compute>
__global__ void __launch_bounds__(kThreads) sgd_kernel(SgdArgs args) {
  if (args.state->nonfinite) return;
  const float lr = args.lr_table[args.state->step];
  for_each_vector<kVector<Gradient>>(args.n, [&](auto count, std::int64_t i) {
    constexpr int kCount = decltype(count)::value;
    const auto gradient = load<kCount>(static_cast<const Gradient*>(args.gradient) + i);
    Floats<kCount> w = load<kCount>(args.w + i), v = load<kCount>(args.v + i);
    for (int j = 0; j < kCount; ++j) {
      const float g = gradient.v[j] * args.inverse_scale + args.weight_decay * w.v[j];
      v.v[j] = args.momentum * v.v[j] + g;
      w.v[j] -= lr * (args.nesterov ? g + args.momentum * v.v[j] : v.v[j]);
    }
    store<kCount>(args.v + i, v);
    store<kCount>(args.w + i, w);
    if (args.compute) store<kCount>(static_cast<Compute*>(args.compute) + i, w);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    check_finite_kernel(const T* gradient, StepState* state, std::int64_t n) {
  bool bad = false;
  for_each_vector<kVector<T>>(n, [&](auto count, std::int64_t i) {
    constexpr int kCount = decltype(count)::value;
    const Floats<kCount> values = load<kCount>(gradient + i);
    for (int j = 0; j < kCount; ++j) bad = bad || !(fabsf(values.v[j]) < kInfinity);
  });
  if (bad) atomic_or(&state->nonfinite, 1);
}

template <class Gradient, class Compute>
void update(Stream& stream, const SgdArgs& args) {
  launch(stream, "sgd", sgd_kernel<Gradient, Compute>, {blocks_for(args.n, kThreads * kVector<Gradient>)},
         {kThreads}, 0, args);
}

}  // namespace

template <>
void run(Stream& stream, const SgdArgs& args) {
  const DType compute = args.compute ? args.compute_dtype : args.gradient_dtype;
  with_float_type("sgd", args.gradient_dtype, [&](auto zero) {
    using Gradient = decltype(zero);
    if (compute == args.gradient_dtype) {
      update<Gradient, Gradient>(stream, args);
    } else if constexpr (std::is_same_v<Gradient, float>) {
      compute == DType::kF16 ? update<float, half_t>(stream, args) : update<float, bf16_t>(stream, args);
    } else {
      reject("sgd", "16-bit gradients need a compute copy of the same type");
    }
  });
}

template <>
void run(Stream& stream, const CheckFiniteArgs& args) {
  with_float_type("check_finite", args.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, "check_finite", check_finite_kernel<T>, {blocks_for(args.n, kThreads * kVector<T>)},
           {kThreads}, 0, static_cast<const T*>(args.gradient), args.state, args.n);
  });
}

}  // namespace tdds::TDDS_GPU
