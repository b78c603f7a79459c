#pragma once
// The convolutions of tests/cuda/ops_test.cpp and of ResNet-18, shared by the tests that plan them.

#include "kernels/ops/conv2d.h"

namespace tdds::test {

struct LibraryShape {
  int size, stride, padding, channels, out_channels;

  Conv2dSpec spec(DType dtype, Conv2dMath math) const {
    return {.batch = 2,
            .height = 8,
            .width = 6,
            .channels = channels,
            .out_channels = out_channels,
            .filter_h = size,
            .filter_w = size,
            .stride = stride,
            .padding = padding,
            .dtype = dtype,
            .math = math};
  }
};

inline constexpr LibraryShape kLibraryShapes[] = {
    {3, 1, 1, 8, 16}, {3, 2, 1, 16, 8}, {1, 2, 0, 16, 32}, {1, 1, 0, 32, 8}};

inline Conv2dSpec layer(std::int32_t size, std::int32_t channels, std::int32_t out_channels,
                        std::int32_t filter, std::int32_t stride) {
  return {128, size, size, channels, out_channels, filter, filter, stride, filter / 2};
}
// The convolutions of ResNet-18 at batch 128.
inline const Conv2dSpec kResNet18[] = {
    layer(32, 8, 64, 3, 1),    layer(32, 64, 64, 3, 1),   layer(32, 64, 128, 3, 2),  layer(32, 64, 128, 1, 2),
    layer(16, 128, 128, 3, 1), layer(16, 128, 256, 3, 2), layer(16, 128, 256, 1, 2), layer(8, 256, 256, 3, 1),
    layer(8, 256, 512, 3, 2),  layer(8, 256, 512, 1, 2),  layer(4, 512, 512, 3, 1)};

}  // namespace tdds::test
