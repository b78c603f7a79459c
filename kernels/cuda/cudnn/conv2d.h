#pragma once
// Convolution through cuDNN (kernels/ops/conv2d.h has the contract).

#include <memory>

#include "kernels/ops/conv2d.h"

namespace tdds {

// Builds the plans of all directions that the spec asks for. `device` may be a GPU known only by its
// description; its plans cannot be run.
std::unique_ptr<Conv2d> make_cuda_conv2d(Device& device, const Conv2dSpec& spec);

}  // namespace tdds
