#pragma once
// Max pool: y[b,i,j,c] = max over the window of x[b, i*stride - padding + r, j*stride - padding + s, c], r, s
// = 0 .. window - 1, without the positions outside x. ImageNet ResNets use 3x3, stride 2, padding 1. `argmax`
// [B,OH,OW,C] is r * window + s of the maximum: the first of equal values in the order of r, s, where a NaN
// precedes every number, as in PyTorch. Backward: dx[p] = sum of dy over the windows whose maximum is p,
// added in ascending order of i, j in fp32; all of dx is written.

#include <cstddef>
#include <cstdint>

#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

struct MaxPoolShape {
  std::int32_t batch, height, width, channels;  // of x; C of y is the same
  std::int32_t window, stride, padding;         // window <= 15, padding <= window / 2: no window is empty
  DType dtype;                                  // of x, y, dy, dx

  constexpr std::int32_t out_height() const { return (height + 2 * padding - window) / stride + 1; }
  constexpr std::int32_t out_width() const { return (width + 2 * padding - window) / stride + 1; }
  constexpr std::size_t outputs() const {
    return std::size_t(batch) * std::size_t(out_height()) * std::size_t(out_width()) * std::size_t(channels);
  }
};

struct MaxPoolArgs {
  const void* x;         // in  [B,H,W,C]
  void* y;               // out [B,OH,OW,C]
  std::uint8_t* argmax;  // out [B,OH,OW,C]; null in inference
  MaxPoolShape shape;
};

struct MaxPoolBackwardArgs {
  const void* dy;              // in  [B,OH,OW,C]
  const std::uint8_t* argmax;  // in  [B,OH,OW,C]
  void* dx;                    // out [B,H,W,C], not dy
  MaxPoolShape shape;
};

void max_pool(Stream& stream, const MaxPoolArgs& args);
void max_pool_backward(Stream& stream, const MaxPoolBackwardArgs& args);

}  // namespace tdds
