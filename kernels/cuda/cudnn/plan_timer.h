#pragma once
// The time that a convolution plan takes under the conditions of a training step.

#include "kernels/cuda/cudnn/conv_plans.h"

namespace tdds {

class CudaDevice;

// Times plans on the device's set-up stream: the median of a few executions after a warm-up, on random
// numbers. Before each execution the caches are as a step leaves them: they hold the tensor that the op
// before has just written (x for a forward pass, dy for a backward one) and nothing else of the convolution.
// The memory that this takes is freed again.
PlanTimer make_plan_timer(CudaDevice& device);

}  // namespace tdds
