#pragma once
// The forward convolution by its definition, for the shapes that oneDNN gets wrong.

#include <memory>

#include "kernels/cpu/conv/conv2d_pass.h"

namespace tdds::cpu {

// bf16, stride > 1 and one output per row: oneDNN 3.7 with AMX reads beyond the map and returns infinities.
bool onednn_fails_forward(const Conv2dSpec& spec);

// Sums in fp32 and rounds once. spec.dtype must be kBf16.
std::unique_ptr<Conv2dPass> make_definition_forward_pass(const Conv2dSpec& spec);

}  // namespace tdds::cpu
