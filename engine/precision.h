#pragma once
// The precisions a run can ask for: how activations and filter gradients are stored, and how they are multiplied.
// Master weights, statistics, losses and everything derived from logits are fp32 in each.

#include <string_view>

#include "kernels/conv2d.h"
#include "kernels/device.h"
#include "kernels/tensor_view.h"

namespace tdds {

struct Precision {
  DType compute = DType::kF32;
  Conv2dMath math = Conv2dMath::kExact;
  float loss_scale = 1;  // fp16: 1024, so that small gradients do not vanish
};

// "fp32"; on a GPU also "tf32", "fp16" and "bf16"; on a CPU with avx512_bf16 also "bf16". Throws UsageError for another word, and for one that the device
// does not have.
Precision parse_precision(std::string_view word, DeviceKind device);

}  // namespace tdds
