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

// Blocks of a launch over two ranges: the first `blocks` work on the first range.
struct RangeBlocks {
  std::uint32_t blocks;

  __device__ bool in_first() const { return block_id().x < blocks; }
  // The thread's index within its range.
  __device__ std::int64_t thread() const {
    return static_cast<std::int64_t>(block_id().x - (in_first() ? 0 : blocks)) * block_dim().x +
           thread_id().x;
  }
};

template <class Gradient, class Compute>
__device__ void update(const SgdArgs& args, std::int64_t thread, float* w_at, float* v_at,
                       const Gradient* gradient_at, Compute* compute_at, std::int64_t n) {
  const float lr = args.lr_table[args.state->step];
  for_each_vector<kVector<Gradient>>(thread, n, [&](auto count, std::int64_t i) {
    constexpr int kCount = decltype(count)::value;
    const auto gradient = load<kCount>(gradient_at + i);
    Floats<kCount> w = load<kCount>(w_at + i), v = load<kCount>(v_at + i);
    for (int j = 0; j < kCount; ++j) {
      const float g = gradient.v[j] * args.inverse_scale + args.weight_decay * w.v[j];
      v.v[j] = args.momentum * v.v[j] + g;
      w.v[j] -= lr * (args.nesterov ? g + args.momentum * v.v[j] : v.v[j]);
    }
    store<kCount>(v_at + i, v);
    store<kCount>(w_at + i, w);
    if (compute_at) store<kCount>(compute_at + i, w);
  });
}

template <class Gradient, class Compute>
__global__ void __launch_bounds__(kThreads) sgd_kernel(SgdArgs args, RangeBlocks range) {
  wait_for_previous();
  if (args.state->nonfinite) return;
  if (range.in_first())
    update(args, range.thread(), args.w, args.v, static_cast<const Gradient*>(args.gradient),
           static_cast<Compute*>(args.compute), args.n);
  else
    update(args, range.thread(), args.more.w, args.more.v, args.more.gradient, static_cast<float*>(nullptr),
           args.more.n);
}

template <class T>
__device__ bool any_nonfinite(std::int64_t thread, const T* gradient, std::int64_t n) {
  bool bad = false;
  for_each_vector<kVector<T>>(thread, n, [&](auto count, std::int64_t i) {
    constexpr int kCount = decltype(count)::value;
    const Floats<kCount> values = load<kCount>(gradient + i);
    for (int j = 0; j < kCount; ++j) bad = bad || !(fabsf(values.v[j]) < kInfinity);
  });
  return bad;
}

template <class T>
__global__ void __launch_bounds__(kThreads) check_finite_kernel(CheckFiniteArgs args, RangeBlocks range) {
  wait_for_previous();
  const bool bad = range.in_first()
                       ? any_nonfinite(range.thread(), static_cast<const T*>(args.gradient), args.n)
                       : any_nonfinite(range.thread(), args.more, args.more_n);
  if (bad) atomic_or(&args.state->nonfinite, 1);
}

template <class T>
std::uint32_t range_blocks(std::int64_t n) {
  return blocks_for(n, kThreads * kVector<T>);
}

template <class Gradient, class Compute>
void update(Stream& stream, const SgdArgs& args) {
  const std::uint32_t blocks = range_blocks<Gradient>(args.n), more = range_blocks<float>(args.more.n);
  launch(stream, "sgd", sgd_kernel<Gradient, Compute>, {blocks + more}, {kThreads}, 0, args,
         RangeBlocks{blocks});
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
    const std::uint32_t blocks = range_blocks<T>(args.n), more = range_blocks<float>(args.more_n);
    launch(stream, "check_finite", check_finite_kernel<T>, {blocks + more}, {kThreads}, 0, args,
           RangeBlocks{blocks});
  });
}

}  // namespace tdds::TDDS_GPU
