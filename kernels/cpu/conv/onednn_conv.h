#pragma once
// Convolutions by oneDNN 2 and 3. This header hides the difference between their interfaces.

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu::onednn {

// Direct convolution of fp32 or bf16 activations. `filter_type` is the type of the filter or of its gradient,
// which may be fp32 with bf16 activations. Activations are NHWC. The filter is KRSC and is reordered in the
// workspace to the layout that the primitive requires. Throws Error when oneDNN has no implementation.
//
// The strided data gradient is computed in parts of the batch, so that the number of threads changes no bit
// of it. direct_filter.h does the same for the filter gradient, except for large filters on a CPU without
// AVX2 (2.6: 3x3, 256 -> 320 channels). Elsewhere no difference was seen with 1 to 4 threads.
std::unique_ptr<Conv2dPass> make_direct_pass(const Conv2dSpec& spec, Direction direction, DType filter_type);

}  // namespace tdds::cpu::onednn
