// The end of a step; contract in kernels/ops/advance.h.
//
// Parallel over: the samples of the batch, in one block.
// Held in:       registers.
// Bytes per row: 4 for the id, 5 gathered by id.
// Deterministic: a thread sums its samples in ascending order, then a fixed tree.

#include "kernels/ops/advance.h"

#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 256;

__global__ void __launch_bounds__(kThreads) advance_kernel(AdvanceArgs args) {
  wait_for_previous();
  StepState& state = *args.state;
  double loss = 0;
  std::int32_t correct = 0;
  for (std::int32_t b = thread_id().x; b < args.batch; b += block_dim().x) {
    const std::int64_t id = args.order[state.cursor + b];
    loss += args.loss[id];
    correct += args.correct[id];
  }
  loss = block_sum(loss);
  correct = block_sum(correct);
  if (thread_id().x != 0) return;
  state.loss_sum += loss;
  state.correct += correct;
  state.cursor += args.batch;
  state.step += args.count_step ? 1 : 0;
  state.skipped += state.nonfinite;
  state.nonfinite = 0;
}

}  // namespace

template <>
void run(Stream& stream, const AdvanceArgs& args) {
  launch(stream, "advance", advance_kernel, {1}, {kThreads}, 0, args);
}

}  // namespace tdds::TDDS_GPU
