#pragma once
// Whether tensor cores do what kernels/gpu/tensor_core.h says: the simt executor shares its layouts, so only
// a GPU can show that they are right. bench/matrix_probe.cu defines the kernel for cuda and simt.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace tdds {

class Stream;

inline constexpr std::size_t kMatrixSide = 16, kMatrixElements = kMatrixSide * kMatrixSide;

// What one warp reads and writes, all in row order. T is half_t or bf16_t.
template <class T>
struct MatrixProbe {
  const T *a, *b;         // 16 x 16: [row][k] and [k][column]
  const float* c;         // 16 x 16
  float* product;         // 16 x 8: c + a b, the left 8 columns, from operands that the lanes put together
  float* loaded_product;  // 16 x 16: c + a b from operands that ldmatrix loads
  T* loaded;  // 3 x 16 x 16: a, b and b as ldmatrix loads them from [row][k], [column][k], [k][column]
  T* copied;  // 2 x 16 x 16: a and b after asynchronous copies in two groups
  std::uint32_t* base;  // the low 10 bits of the address of shared memory
};

// "right", or what is wrong, for each instruction by its name.
nlohmann::ordered_json check_tensor_cores(Stream& stream);
// Whether nothing is wrong in it.
bool all_right(const nlohmann::ordered_json& checked);

}  // namespace tdds
