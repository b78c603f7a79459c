#pragma once
// The CPU's plans for convolution and the linear layer, which use oneDNN.

#include <memory>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/linear.h"

namespace tdds::cpu {

std::unique_ptr<Conv2d> make_conv2d(Device& device, const Conv2dSpec& spec);
// For simt: any type, multiplied in fp32.
std::unique_ptr<Conv2d> make_widened_conv2d(Device& device, const Conv2dSpec& spec);
std::unique_ptr<Linear> make_linear(Device& device, const LinearSpec& spec);

// What the plan of the linear layer runs.
void linear_forward(const LinearSpec& spec, const float* x, const float* w, const float* b, float* y);
void linear_backward(const LinearSpec& spec, const float* x, const float* w, const float* dy, float* dx,
                     float* dw, float* db);

}  // namespace tdds::cpu
