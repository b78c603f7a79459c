#include "engine/precision.h"

#include "kernels/runtime/check.h"

namespace tdds {

const char* to_string(PrecisionKind kind) {
  constexpr std::array kNames{"fp32", "tf32", "fp16", "bf16"};
  return kNames.at(static_cast<std::size_t>(kind));
}

PrecisionKind default_precision(DeviceKind device) {
  return device == DeviceKind::kCuda ? PrecisionKind::kTf32 : PrecisionKind::kFp32;
}

Precision precision_on(DeviceKind device, PrecisionKind kind) {
  const bool cpu_bf16 = kind == PrecisionKind::kBf16 && device == DeviceKind::kCpu;
  const bool simt_half =
      device == DeviceKind::kSimt && (kind == PrecisionKind::kFp16 || kind == PrecisionKind::kBf16);
  check_usage(kind == PrecisionKind::kFp32 || cpu_bf16 || simt_half || device == DeviceKind::kCuda,
              "precision '{}' is not available on device '{}'; use `precision` fp32", to_string(kind),
              to_string(device));
  check_usage(
      !cpu_bf16 || host_has_bf16(),
      "precision 'bf16' needs a CPU with avx512_bf16, which this one lacks or TDDS_CPU_ISA hides; use "
      "`precision` fp32");
  switch (kind) {
    case PrecisionKind::kFp32:
      return {};
    case PrecisionKind::kTf32:
      return {.math = Conv2dMath::kTf32};
    case PrecisionKind::kFp16:
      return {.compute = DType::kF16, .loss_scale = 1024};
    case PrecisionKind::kBf16:
      return {.compute = DType::kBf16};
  }
  throw Error("precision_on: not a precision");
}

}  // namespace tdds
