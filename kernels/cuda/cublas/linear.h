#pragma once
// The fully connected layer through cuBLAS (kernels/ops/linear.h has the contract).

#include <memory>

#include "kernels/ops/linear.h"

namespace tdds {

class Device;

// One product in cuBLAS's column-major terms: C[m,n] = op(A)[m,k] * op(B)[k,n], where op transposes if the
// flag is set. A row-major [rows, cols] matrix read as column-major is its transpose, with leading dimension
// cols.
struct Gemm {
  bool transpose_a, transpose_b;
  int m, n, k, lda, ldb, ldc;
};

// y^T = W x^T:      A = W, B = x, C = y
Gemm linear_forward_gemm(const LinearSpec& spec);
// dx^T = W^T dy^T:  A = W, B = dy, C = dx
Gemm linear_data_gemm(const LinearSpec& spec);
// dW^T = x^T dy:    A = x, B = dy, C = dW
Gemm linear_filter_gemm(const LinearSpec& spec);

std::unique_ptr<Linear> make_cuda_linear(Device& device, const LinearSpec& spec);

}  // namespace tdds
