#pragma once
// The values that change from step to step. They are in device memory, so that a recorded step can be
// replayed.

#include <cstdint>

namespace tdds {

struct StepState {
  std::int64_t step;       // optimizer steps since training began: the index into the learning-rate table
  std::int64_t cursor;     // samples of this epoch already visited: the index into `order`
  std::int32_t epoch;      // since training began; keys the augmentation; in 0 no sample has a previous visit
  std::int32_t nonfinite;  // 1 if this step's gradients are not all finite (check_finite), until advance
  std::int64_t skipped;    // steps skipped for that reason since training began
  double loss_sum;         // over the samples of this epoch so far: plain -log p_y, not the weighted loss
  std::int64_t correct;    // of these samples, those with argmax == label
};

}  // namespace tdds
