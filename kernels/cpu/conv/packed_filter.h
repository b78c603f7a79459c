#pragma once
// The filter gradient of narrow maps, several images side by side.
//
// With AMX, oneDNN sums over the pixels of a row 32 at a time: of a map 4 wide 7 in 8 products are with
// zeros. Here the maps of several images are laid out as one wide map, with columns of zeros between them for
// the filter to reach into, and that is convolved: 2 to 4 times as fast as one by one.
//
//   x   |aaaa0bbbb0cccc0|     dy  |aaaa0bbbb0cccc0|    (3x3, stride 1; with stride 2 the zeros of x are 2)

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu {

// Null where maps are wide enough, a batch has one image, or the shape does not allow it.
std::unique_ptr<Conv2dPass> make_packed_filter_pass(const Conv2dSpec& spec, DType filter_type);

}  // namespace tdds::cpu
