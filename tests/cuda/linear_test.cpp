// Compares the products that the linear layer requests from cuBLAS, evaluated by a simple column-major
// product, with the layer's definition. Tests sizes, transpositions and leading dimensions without a GPU.
#include "kernels/cuda/cublas/linear.h"

#include <gtest/gtest.h>

#include <vector>

namespace tdds {
namespace {

std::vector<float> numbers(int count, int start) {
  std::vector<float> values(count);
  for (int i = 0; i < count; ++i) values[i] = static_cast<float>((start + 7 * i) % 23 - 11);
  return values;
}

// As cuBLAS defines it: element (row, column) of a matrix is at row + column * ld.
std::vector<float> evaluate(const Gemm& gemm, const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> c(gemm.ldc * gemm.n);
  for (int i = 0; i < gemm.m; ++i)
    for (int j = 0; j < gemm.n; ++j)
      for (int k = 0; k < gemm.k; ++k)
        c[i + j * gemm.ldc] += (gemm.transpose_a ? a.at(k + i * gemm.lda) : a.at(i + k * gemm.lda)) *
                               (gemm.transpose_b ? b.at(j + k * gemm.ldb) : b.at(k + j * gemm.ldb));
  return c;
}

class LinearGemmTest : public testing::Test {
 protected:
  static constexpr int kB = 3, kC = 5, kK = 4;
  const LinearSpec spec_{.batch = kB, .in_features = kC, .out_features = kK};
  const std::vector<float> x_ = numbers(kB * kC, 1), w_ = numbers(kK * kC, 2), dy_ = numbers(kB * kK, 3);
};

TEST_F(LinearGemmTest, ForwardIsXTimesWTransposed) {
  std::vector<float> y(kB * kK);
  for (int b = 0; b < kB; ++b)
    for (int k = 0; k < kK; ++k)
      for (int c = 0; c < kC; ++c) y[b * kK + k] += x_[b * kC + c] * w_[k * kC + c];
  EXPECT_EQ(evaluate(linear_forward_gemm(spec_), w_, x_), y);
}

TEST_F(LinearGemmTest, DataIsDyTimesW) {
  std::vector<float> dx(kB * kC);
  for (int b = 0; b < kB; ++b)
    for (int c = 0; c < kC; ++c)
      for (int k = 0; k < kK; ++k) dx[b * kC + c] += dy_[b * kK + k] * w_[k * kC + c];
  EXPECT_EQ(evaluate(linear_data_gemm(spec_), w_, dy_), dx);
}

TEST_F(LinearGemmTest, FilterIsDyTransposedTimesX) {
  std::vector<float> dw(kK * kC);
  for (int k = 0; k < kK; ++k)
    for (int c = 0; c < kC; ++c)
      for (int b = 0; b < kB; ++b) dw[k * kC + c] += dy_[b * kK + k] * x_[b * kC + c];
  EXPECT_EQ(evaluate(linear_filter_gemm(spec_), x_, dy_), dw);
}

}  // namespace
}  // namespace tdds
