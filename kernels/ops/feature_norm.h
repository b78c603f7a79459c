#pragma once
// The norm of each sample's features h, by sample id. Together with norm(p - onehot(y)) it gives the norm of
// the gradient of the last layer, bias included: norm(p - onehot(y)) sqrt(norm(h)^2 + 1) (GraNd).
//
//   norm[order[state->cursor + b]] = || features[b,:] ||_2
//
// fp32; within 1e-5 relative.

#include <cstdint>

#include "kernels/ops/step_state.h"

namespace tdds {

class Stream;

struct FeatureNormArgs {
  const float* features;      // in  [B,F]
  const std::int32_t* order;  // in  sample ids in visiting order
  const StepState* state;     // in  cursor
  float* norm;                // out [N] by sample id
  std::int32_t batch, width;  // B, F
};

void feature_norm(Stream& stream, const FeatureNormArgs& args);

}  // namespace tdds
