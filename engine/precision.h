#pragma once
// The precisions of a run: how activations and filter gradients are stored and multiplied. Master weights,
// statistics, losses and everything derived from logits are fp32 in each.

#include <array>
#include <cstdint>

#include "kernels/ops/conv2d.h"
#include "kernels/runtime/device.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

enum class PrecisionKind : std::uint8_t { kFp32, kTf32, kFp16, kBf16 };
inline constexpr std::array kPrecisions{PrecisionKind::kFp32, PrecisionKind::kTf32, PrecisionKind::kFp16,
                                        PrecisionKind::kBf16};
const char* to_string(PrecisionKind kind);  // "fp32", "tf32", "fp16", "bf16"

struct Precision {
  DType compute = DType::kF32;
  Conv2dMath math = Conv2dMath::kExact;
  float loss_scale = 1;  // fp16: 1024, so that small gradients do not vanish
};

// kTf32 on a GPU, as in PyTorch's convolutions; kFp32 elsewhere.
PrecisionKind default_precision(DeviceKind device);
// The settings of a precision. Every device has kFp32, a GPU has all, simt all but kTf32, and a CPU with
// avx512_bf16 also kBf16. Throws UsageError for a precision that the device does not have.
Precision precision_on(DeviceKind device, PrecisionKind kind);

}  // namespace tdds
