#pragma once
// The filter gradient of narrow maps, with several images side by side.
//
// With AMX, oneDNN sums over the pixels of a row 32 at a time, so 7 of 8 products are with zeros for a map of
// width 4. Here the maps of several images form one wide map, separated by columns of zeros for the filter to
// read, and oneDNN convolves the wide map: 2 to 4 times as fast as one image at a time.
//
//   x   |aaaa0bbbb0cccc0|     dy  |aaaa0bbbb0cccc0|    (3x3, stride 1; with stride 2 the zeros of x are 2)

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu {

// Null where the maps are wide enough already, the batch has one image, or the shape does not allow it.
std::unique_ptr<Conv2dPass> make_packed_filter_pass(const Conv2dSpec& spec, DType filter_type);

}  // namespace tdds::cpu
