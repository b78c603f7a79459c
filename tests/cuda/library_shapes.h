#pragma once
// The convolutions of tests/cuda/ops_test.cpp, shared with the test that plans them.

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

}  // namespace tdds::test
