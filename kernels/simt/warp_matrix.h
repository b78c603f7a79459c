#pragma once
// Tensor cores in the executor. The 32 lanes of a warp call these together; each passes its own part, as
// kernels/numerics/matrix_layout.h lays it out.

#include <cstdint>

#include "kernels/simt/executor.h"

namespace tdds::simt {

// c += a b, for T = half_t or bf16_t: 4 floats, 8 and 4 elements a lane. The 16 products of a sum are exact
// in float; they are added one after the other in the order of k, and their sum to c.
template <class T>
void multiply_matrices(float* c, const std::uint32_t* a, const std::uint32_t* b, const Site& site);

// Reads 4 matrices of 8 x 8 16-bit elements from shared memory. Lane l gives the address of row l % 8 of
// matrix l / 8. words[j] gets the elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4 of matrix j, or of its
// column.
void load_matrices(const void* at, bool transposed, std::uint32_t* words, const Site& site);

}  // namespace tdds::simt
