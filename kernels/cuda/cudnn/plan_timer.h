#pragma once
// The time that a convolution plan takes under the conditions of a training step.

#include "kernels/cuda/cudnn/conv_plans.h"

namespace tdds {

class CudaDevice;

// Times plans on the device's set-up stream: the median of several executions after a warm-up, on random
// numbers. Before each execution the caches are in the state of a training step: they hold the tensor that
// the previous op has just written (x for a forward pass, dy for a backward pass) and nothing else of the
// convolution. The memory that this takes is freed afterwards.
PlanTimer make_plan_timer(CudaDevice& device);

}  // namespace tdds
