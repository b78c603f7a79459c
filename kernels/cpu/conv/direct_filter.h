#pragma once
// The filter gradient by direct convolution, with the same bits for any number of threads.
//
// oneDNN divides the sum over images among the available threads, so the order of its sums depends on the
// number of threads (seen: 1x1 filters with 2 threads, 3 -> 16 channels with 4). Here the shape alone decides
// how the images are divided into parts. One thread convolves each part into a gradient of its own, and these
// gradients are added in order.

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu {

// Filters of more than 2 MiB (3x3 from 256 to 512 channels) are an exception: copies of them cost too much,
// and oneDNN divides their channels among threads instead (the same bits were seen with 1 to 4 threads, in
// versions 2.6 and 3.7).
std::unique_ptr<Conv2dPass> make_direct_filter_pass(const Conv2dSpec& spec);

}  // namespace tdds::cpu
