#pragma once
// oneDNN's setup and matrix products, for the CPU's ops. Convolutions are in conv/onednn_conv.h.

#include <cstdint>

namespace tdds::cpu::onednn {

// Call before the first use of oneDNN. Limits it to the instructions that isa() allows.
void prepare();

// A row-major matrix; the elements of one stored row are adjacent.
struct Matrix {
  const float* data;
  std::int64_t row_stride;  // elements between stored rows
  bool transposed;          // the stored rows are the matrix's columns
};

// C[m,n] = A[m,k] B[k,n] + beta C, fp32. Inside an OpenMP loop it runs on the calling thread only. Returns
// false when memory is short: an exception must not leave an OpenMP loop.
bool multiply(std::int64_t m, std::int64_t n, std::int64_t k, Matrix a, Matrix b, float beta, float* c,
              std::int64_t c_row_stride);

}  // namespace tdds::cpu::onednn
