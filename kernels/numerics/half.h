#pragma once
// Storage of 16-bit floating point. Values are converted to float for computation and rounded to nearest even
// when stored: by kernels/numerics/half_convert.h on the host, by kernels/gpu/gpu.h in kernels.

#include <cstdint>

namespace tdds {

struct half_t {  // IEEE binary16
  std::uint16_t bits;
};
struct bf16_t {  // bfloat16: the upper half of a binary32
  std::uint16_t bits;
};

}  // namespace tdds
