#pragma once
// SGD with Nesterov momentum over a flat block, as torch.optim.SGD(nesterov=True):
//
//   g += weight_decay * w;  v = momentum * v + g  (v starts at 0);  w -= lr * (g + momentum * v)
//
// lr = lr_table[state->step]; g = gradient * inverse_scale. If state->nonfinite is set, w, v and compute are
// not changed. Where a loss scale may overflow, check_finite runs over all blocks before the first update and
// sets it.

#include <cstdint>

#include "kernels/ops/step_state.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

// Further parameters of the same step, which have fp32 gradients and no compute copy.
struct SgdFp32 {
  float* w = nullptr;
  float* v = nullptr;
  const float* gradient = nullptr;
  std::int64_t n = 0;
};

struct SgdArgs {
  float* w;              // io  [n] fp32 master weights
  float* v;              // io  [n] fp32 momentum
  const void* gradient;  // in  [n] of gradient_dtype
  void* compute;  // out [n] of compute_dtype: the copy that the layers read; null if they read w itself
  const float* lr_table;   // in  [steps]
  const StepState* state;  // in  step, nonfinite
  std::int64_t n;
  DType gradient_dtype, compute_dtype;
  float momentum, weight_decay, inverse_scale;
  bool nesterov;
  SgdFp32 more = {};
};

struct CheckFiniteArgs {
  const void* gradient;  // in [n]
  StepState* state;      // io nonfinite = 1 if any value is a NaN or an infinity; otherwise unchanged
  std::int64_t n;
  DType dtype;
  const float* more = nullptr;  // in [more_n] fp32 gradients
  std::int64_t more_n = 0;
};

void sgd(Stream& stream, const SgdArgs& args);
void check_finite(Stream& stream, const CheckFiniteArgs& args);

}  // namespace tdds
