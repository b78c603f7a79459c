#pragma once
// The forward convolution by its definition, for the shapes that oneDNN gets wrong.

#include <memory>

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu {

// In bf16, strided, with one output a row: oneDNN 3.7's AMX reads beyond the map, and infinities come out.
bool onednn_fails_forward(const Conv2dSpec& spec);

// Sums in fp32, rounds once; spec.dtype is kBf16.
std::unique_ptr<Conv2dPass> make_definition_forward_pass(const Conv2dSpec& spec);

}  // namespace tdds::cpu
