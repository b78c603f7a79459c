#pragma once
// Convolutions by oneDNN, versions 2 and 3, whose interfaces differ: this file pair hides it.

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu::onednn {

// Direct convolution of fp32 or bf16 activations, with the filter (or its gradient, which may be fp32 beside
// bf16 activations) of `filter_type`. Activations stay NHWC; the filter is KRSC outside and is reordered,
// within the workspace, into what the primitive wants. Throws Error when oneDNN has no implementation.
//
// The number of threads may change the last bits of the strided data gradient: seen in version 3.7 where the
// threads do not divide the batch (3x3, 16 -> 32 channels, 18 images, 4 threads), in 2.6 for 7x7 filters on 3
// channels. direct_filter.h mends the filter gradient, but for large filters where there is no AVX2 (2.6:
// 3x3, 256 -> 320 channels); in the rest no difference was seen with 1 to 4 threads.
std::unique_ptr<Conv2dPass> make_direct_pass(const Conv2dSpec& spec, Direction direction, DType filter_type);

}  // namespace tdds::cpu::onednn
