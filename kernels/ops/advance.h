#pragma once
// Ends a step: adds the batch's losses and correct predictions (read by sample id) to the sums, in a fixed
// order, then cursor += batch, step += 1 if count_step, skipped += nonfinite, nonfinite = 0.

#include <cstdint>

#include "kernels/ops/step_state.h"

namespace tdds {

class Stream;

struct AdvanceArgs {
  StepState* state;             // io
  const std::int32_t* order;    // in  [>= cursor + batch] sample ids in visiting order
  const float* loss;            // in  [N] by sample id
  const std::uint8_t* correct;  // in  [N] by sample id
  std::int32_t batch;
  bool count_step;  // false in evaluation
};

void advance(Stream& stream, const AdvanceArgs& args);

}  // namespace tdds
