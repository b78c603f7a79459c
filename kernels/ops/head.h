#pragma once
// The head of a network: global average pool (kernels/ops/pool.h), fully connected layer
// (kernels/ops/linear.h) and, where a loss is given, softmax with dynamics (kernels/ops/softmax_kl.h) and the
// norm of the features (kernels/ops/feature_norm.h). fp32 but for x and dx. One launch each way on a GPU.
//
//   forward   features[b,f] = avg_p x[b,p,f];  logits = features W^T + bias;  then the loss's outputs
//   backward  dx[b,p,f] = (dlogits W)[b,f] / P;  dW = dlogits^T features;  db[k] = sum_b dlogits[b,k]

#include <cstdint>

#include "kernels/ops/softmax_kl.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

struct HeadShape {
  std::int32_t batch, positions, features, classes;  // B, P, F, K
  DType dtype;                                       // of x and dx
};

struct HeadForwardArgs {
  const void* x;          // in  [B,P,F] of dtype
  const float *w, *bias;  // in  [K,F], [K]
  float* features;        // out [B,F]
  float* logits;          // out [B,K]
  HeadShape shape;
  SoftmaxKlArgs loss = {};        // of the same logits; no loss where its logits are null
  float* feature_norm = nullptr;  // out [N] by sample id, or null; needs a loss
};

struct HeadBackwardArgs {
  const float* features;  // in  [B,F]
  const float* w;         // in  [K,F]
  const float* dlogits;   // in  [B,K]
  void* dx;               // out [B,P,F] of dtype
  float *dw, *db;         // out [K,F], [K]
  float* dfeatures;       // scratch [B,F] of a CPU
  HeadShape shape;
};

void head_forward(Stream& stream, const HeadForwardArgs& args);
void head_backward(Stream& stream, const HeadBackwardArgs& args);

}  // namespace tdds
