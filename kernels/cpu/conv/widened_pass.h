#pragma once
// A convolution of 16-bit operands by a pass for fp32: the operands are converted, and the result is rounded
// once, when it is stored. simt uses it in place of cuDNN.

#include <memory>

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu {

// spec.dtype is kF16 or kBf16; `pass` computes the same convolution and direction with kF32.
std::unique_ptr<Conv2dPass> make_widened_pass(const Conv2dSpec& spec, Direction direction,
                                              std::unique_ptr<Conv2dPass> pass);

}  // namespace tdds::cpu
