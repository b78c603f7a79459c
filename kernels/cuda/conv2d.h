#pragma once
// Convolution through cuDNN (kernels/conv2d.h has the contract), and the timing of its plans.

#include <memory>

#include "kernels/conv2d.h"
#include "kernels/cuda/conv_plans.h"

namespace tdds {

class CudaDevice;

// Builds the plans of all directions that the spec asks for. `device` may be a GPU that is only described, of
// which plans can be had but not run.
std::unique_ptr<Conv2d> make_cuda_conv2d(Device& device, const Conv2dSpec& spec);

// Times plans on the device's set-up stream: the median of a few executions after a warm-up, on zeros, alone
// on the GPU and with warm caches; within a step the order of close candidates may differ.
PlanTimer make_plan_timer(CudaDevice& device);

}  // namespace tdds
