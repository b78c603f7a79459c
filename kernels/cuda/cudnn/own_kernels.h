#pragma once
// The project's own 3x3 convolutions (kernels/ops/conv3x3.h) on a GPU that is present.

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/device.h"

namespace tdds {

// Those that can run on the GPU. Their kernels are prepared when they are asked for, which must not happen
// while a stream records.
OwnKernels own_kernels_on(CudaDevice& device, bool always);

// Whether there are any for the shape on some GPU.
bool own_kernels_support(const Conv2dSpec& spec, ConvDirection direction);

// Runs the kernel of a plan that has a tile. x, w and y are as in bind_tensors().
void run_own(Stream& stream, Conv3x3Tile tile, const Conv2dSpec& spec, ConvDirection direction, void* x,
             const void* w, void* y);

}  // namespace tdds
