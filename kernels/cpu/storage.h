#pragma once
// Storage of activations on the CPU: fp32 or bf16. An op is one template over the storage type; it computes
// in fp32 and rounds when it stores.

#include "kernels/numerics/half_convert.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds::cpu {

// Calls body(T{}) with the storage type T of `dtype`, which check_type() has accepted.
template <class Body>
void with_storage(DType dtype, const Body& body) {
  if (dtype == DType::kBf16)
    body(bf16_t{});
  else
    body(float{});
}

}  // namespace tdds::cpu
