#pragma once
// The bias of a fully connected layer, fp32: y[b,k] += bias[k], and its gradient dbias[k] = sum_b dy[b,k].
// Parts of the layer that cuBLAS computes, not ops of their own; run() launches them (kernels/ops/run.h).

#include <cstdint>

namespace tdds {

struct AddBiasArgs {
  const float* bias;  // in [K]
  float* y;           // io [B,K]
  std::int32_t batch, features;
};

struct BiasGradientArgs {
  const float* dy;  // in  [B,K]
  float* dbias;     // out [K]
  std::int32_t batch, features;
};

}  // namespace tdds
