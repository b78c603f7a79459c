#include "kernels/ops/advance.h"

#include "kernels/ops/run.h"

namespace tdds::cpu {

template <>
void run(const AdvanceArgs& args) {
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

}  // namespace tdds::cpu
