#include "kernels/cpu/cpu_ops.h"
#include "kernels/host_stream.h"
#include "kernels/step_state.h"

namespace tdds::cpu {
namespace {

void run_advance(const AdvanceArgs& args) {
  StepState& state = *args.state;
  double loss = 0;
  for (std::int32_t b = 0; b < args.batch; ++b) {
    const std::int32_t id = args.order[state.cursor + b];
    loss += args.loss[id];
    state.correct += args.correct[id];
  }
  state.loss_sum += loss;
  state.cursor += args.batch;
  state.step += args.count_step ? 1 : 0;
  state.skipped += state.nonfinite;
  state.nonfinite = 0;
}

}  // namespace

void advance(Stream& stream, const AdvanceArgs& args) {
  check(args.batch > 0, "advance: a batch of {} samples; give at least 1", args.batch);
  check(args.state && args.order && args.loss && args.correct, "advance: no pointer may be null");
  enqueue(stream, "advance", args, run_advance);
}

}  // namespace tdds::cpu
