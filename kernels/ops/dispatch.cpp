#include "kernels/ops/dispatch.h"

namespace tdds {

void check_type(const Stream& stream, std::string_view op, DType dtype) {
  const bool has_f16 = stream.device().ops().kernels != Kernels::kCpu;
  check(dtype == DType::kF32 || dtype == DType::kBf16 || (dtype == DType::kF16 && has_f16),
        "{}: this device does not support {}; use {}", op, to_string(dtype),
        has_f16 ? "f32, f16 or bf16" : "f32 or bf16");
}

}  // namespace tdds
