// Softmax, cross-entropy and dynamics of one batch; contract and formulas in kernels/ops/softmax_kl.h.
//
// Parallel over: rows, one warp each up to 1024 classes, one block each beyond; the lanes divide the classes.
// Held in:       registers; a row is read three times, from L1 after the first.
// Bytes per row: 4 K logits read, 4 K dlogits written, 4 K previous log-probabilities read and 4 K written.
// Deterministic: a lane sums its terms in ascending order, then a fixed tree.

#include "kernels/ops/softmax_kl.h"

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/softmax_row.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 128;
constexpr std::uint32_t kBatchWeightThreads = 256;

template <Group G>
__global__ void __launch_bounds__(kThreads) softmax_kl_kernel(SoftmaxKlArgs args) {
  wait_for_previous();
  const std::int64_t b = G == Group::kWarp ? global_thread() / kWarpSize : block_id().x;
  if (G == Group::kWarp && b >= args.batch) return;  // whole warps only, so that no group is divided
  softmax_row<G>(args, b);
}

__global__ void __launch_bounds__(kBatchWeightThreads) batch_weight_kernel(BatchWeightArgs args) {
  wait_for_previous();
  double sum = 0;
  for (std::int32_t b = thread_id().x; b < args.batch; b += block_dim().x)
    sum += args.weights[args.order[args.state->cursor + b]];
  sum = block_sum(sum);
  if (thread_id().x == 0) *args.batch_weight = static_cast<float>(sum / args.batch);
}

}  // namespace

template <>
void run(Stream& stream, const SoftmaxKlArgs& args) {
  if (args.classes <= kWarpClasses)
    launch(stream, "softmax_kl", softmax_kl_kernel<Group::kWarp>,
           {blocks_for(args.batch, kThreads / kWarpSize)}, {kThreads}, 0, args);
  else
    launch(stream, "softmax_kl", softmax_kl_kernel<Group::kBlock>, {blocks_for(args.batch, 1)}, {kThreads}, 0,
           args);
}

template <>
void run(Stream& stream, const BatchWeightArgs& args) {
  launch(stream, "batch_weight", batch_weight_kernel, {1}, {kBatchWeightThreads}, 0, args);
}

}  // namespace tdds::TDDS_GPU
