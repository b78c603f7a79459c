#pragma once
// The bias of a fully connected layer, fp32: y[b,k] += bias[k], and its gradient dbias[k] = sum_b dy[b,k].

#include <cstdint>

namespace tdds {

class Stream;

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

namespace cuda {
void add_bias(Stream& stream, const AddBiasArgs& args);
void bias_gradient(Stream& stream, const BiasGradientArgs& args);
}  // namespace cuda

namespace simt {
void add_bias(Stream& stream, const AddBiasArgs& args);
void bias_gradient(Stream& stream, const BiasGradientArgs& args);
}  // namespace simt

}  // namespace tdds
