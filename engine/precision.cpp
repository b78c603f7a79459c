#include "engine/precision.h"

#include "kernels/check.h"

namespace tdds {

Precision parse_precision(std::string_view word, DeviceKind device) {
  check_usage(word == "fp32" || word == "tf32" || word == "fp16" || word == "bf16",
              "there is no precision '{}'; choose fp32, tf32, fp16 or bf16 (--precision)", word);
  const bool cpu_bf16 = word == "bf16" && device == DeviceKind::kCpu;
  check_usage(word == "fp32" || cpu_bf16 || device == DeviceKind::kCuda,
              "precision '{}' is not available on device '{}'; use --precision fp32", word, name_of(device));
  check_usage(
      !cpu_bf16 || host_has_bf16(),
      "precision 'bf16' needs a CPU with avx512_bf16, which this one has not or TDDS_CPU_ISA hides; use "
      "--precision fp32");
  if (word == "tf32") return {.math = Conv2dMath::kTf32};
  if (word == "fp16") return {.compute = DType::kF16, .loss_scale = 1024};
  if (word == "bf16") return {.compute = DType::kBf16};
  return {};
}

}  // namespace tdds
