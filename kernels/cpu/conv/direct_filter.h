#pragma once
// The filter gradient by direct convolution, with the same bits for any number of threads.
//
// oneDNN shares the sum over images out among the threads that it finds, so its sums' order depends on their
// number (seen: 1x1 filters with 2 threads, 3 -> 16 channels with 4). Here the images are cut into parts by
// the shape alone; each part is convolved by one thread into a gradient of its own, and these are added in
// order.

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu {

// The exception are filters of more than 2 MiB (3x3 from 256 to 512 channels): so many copies cost too much,
// and oneDNN shares out their channels instead (the same bits were seen with 1 to 4 threads, in versions 2.6
// and 3.7).
std::unique_ptr<Conv2dPass> make_direct_filter_pass(const Conv2dSpec& spec);

}  // namespace tdds::cpu
