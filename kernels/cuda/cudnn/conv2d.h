#pragma once
// Convolution through cuDNN (kernels/ops/conv2d.h has the contract).

#include <memory>

#include "kernels/ops/conv2d.h"

namespace tdds {

// Builds the plans of all directions that the spec asks for. `device` may be a GPU that is only described, of
// which plans can be had but not run.
std::unique_ptr<Conv2d> make_cuda_conv2d(Device& device, const Conv2dSpec& spec);

}  // namespace tdds
