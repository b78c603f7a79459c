#pragma once
// How activations are stored on the CPU: fp32 or bf16. An op is one template over the storage type; it computes
// in fp32 and rounds when it stores.

#include "kernels/check.h"
#include "kernels/half_convert.h"
#include "kernels/tensor_view.h"

namespace tdds::cpu {

// body(T{}) with the storage type T of `dtype`, which check_storage() let pass.
template <class Body>
void with_storage(DType dtype, const Body& body) {
  if (dtype == DType::kBf16)
    body(bf16_t{});
  else
    body(float{});
}

inline void check_storage(const char* op, const char* what, DType dtype) {
  check(dtype == DType::kF32 || dtype == DType::kBf16, "{}: the CPU has no {} {}; use f32 or bf16", op,
        name_of(dtype), what);
}

}  // namespace tdds::cpu
