#pragma once
// Global average pool: y[b,c] = avg_{h,w} x[b,h,w,c], and its gradient dx[b,h,w,c] = dy[b,c] / (H W).
// x, dx [B, HW, C] of `dtype`; y, dy fp32 [B, C], since the head is fp32 in every precision.

#include <cstdint>

#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

struct GlobalAvgPoolArgs {
  const void* x;
  float* y;
  std::int32_t batch, positions, channels;
  DType dtype;
};

struct GlobalAvgPoolBackwardArgs {
  const float* dy;
  void* dx;
  std::int32_t batch, positions, channels;
  DType dtype;
};

void global_avg_pool(Stream& stream, const GlobalAvgPoolArgs& args);
void global_avg_pool_backward(Stream& stream, const GlobalAvgPoolBackwardArgs& args);

}  // namespace tdds
