#pragma once
// The time that a convolution plan takes under the conditions of a training step.

#include "kernels/cuda/cudnn/conv_plans.h"

namespace tdds {

class CudaDevice;

// PlanTiming::prepare for the device: timers run plans on its set-up stream, on random numbers. Before each
// execution the caches are in the state of a training step: they hold the tensor that the previous op has
// just written (x for a forward pass, dy for a backward pass) and nothing else of the convolution. All plans
// of a convolution share the memory that this takes; it is freed with the timer.
std::function<PlanTiming::Timer(const Conv2dSpec&, ConvDirection)> make_plan_timer(CudaDevice& device);

}  // namespace tdds
