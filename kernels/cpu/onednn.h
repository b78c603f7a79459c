#pragma once
// What the CPU's ops share of oneDNN: its setup, and matrix products. Convolutions are conv/onednn_conv.h's.

#include <cstdint>

namespace tdds::cpu::onednn {

// Before the first use of oneDNN, which then keeps to the instructions that isa() allows.
void prepare();

// A row-major matrix; the elements of one stored row are adjacent.
struct Matrix {
  const float* data;
  std::int64_t row_stride;  // elements between stored rows
  bool transposed;          // the rows stored are the columns meant
};

// C[m,n] = A[m,k] B[k,n] + beta C, fp32. Within an OpenMP loop it runs on the calling thread alone. False
// when it could not be done, for want of memory: an exception may not leave such a loop.
bool multiply(std::int64_t m, std::int64_t n, std::int64_t k, Matrix a, Matrix b, float beta, float* c,
              std::int64_t c_row_stride);

}  // namespace tdds::cpu::onednn
