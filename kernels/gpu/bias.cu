// The bias of the fully connected layer and its gradient.
//
// Parallel over: elements of y; gradient: 32 features per block, with 8 groups of samples each.
// Held in:       registers; gradient: 1 KiB of shared memory for the sums of the groups.
// Bytes per row: 8 K to add (y read and written, the bias stays in the cache), 4 K for the gradient.
// Deterministic: each feature's sum has a fixed order.
#include "kernels/gpu/bias.h"
#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr int kThreads = 256;
constexpr int kGroups = kThreads / kWarpSize;

__global__ void __launch_bounds__(kThreads) add_bias_kernel(AddBiasArgs args) {
  wait_for_previous();
  const std::int64_t i = global_thread();
  if (i < static_cast<std::int64_t>(args.batch) * args.features) args.y[i] += args.bias[i % args.features];
}

__global__ void __launch_bounds__(kThreads) bias_gradient_kernel(BiasGradientArgs args) {
  wait_for_previous();
  float* sums = shared<float>(kThreads);
  const std::int32_t column = thread_id().x, group = thread_id().y;
  const std::int32_t feature = block_id().x * kWarpSize + column;
  float sum = 0;
  if (feature < args.features)
    for (std::int32_t b = group; b < args.batch; b += kGroups)
      sum += args.dy[static_cast<std::int64_t>(b) * args.features + feature];
  sums[group * kWarpSize + column] = sum;
  sync_block();
  if (group != 0 || feature >= args.features) return;
  for (std::int32_t other = 1; other < kGroups; ++other) sum += sums[other * kWarpSize + column];
  args.dbias[feature] = sum;
}

}  // namespace

template <>
void run(Stream& stream, const AddBiasArgs& args) {
  launch(stream, "add_bias", add_bias_kernel,
         {blocks_for(static_cast<std::int64_t>(args.batch) * args.features, kThreads)}, {kThreads}, 0, args);
}

template <>
void run(Stream& stream, const BiasGradientArgs& args) {
  launch(stream, "bias_gradient", bias_gradient_kernel, {blocks_for(args.features, kWarpSize)},
         {kWarpSize, kGroups}, kThreads * sizeof(float), args);
}

}  // namespace tdds::TDDS_GPU
