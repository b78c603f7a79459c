#pragma once
// oneDNN, versions 2 and 3, whose interfaces differ: the only file pair that includes its headers.

#include "kernels/cpu/conv2d_pass.h"

namespace tdds::cpu::onednn {

// Direct convolution of fp32 or bf16 activations, with the filter (or its gradient, which may be fp32 beside
// bf16 activations) of `filter_type`. Activations stay NHWC; the filter is KRSC outside and is reordered, within
// the workspace, into what the primitive wants. Throws Error when oneDNN has no implementation.
//
// The number of threads may change the last bits of the strided data gradient: seen in version 3.7 where the
// threads do not divide the batch (3x3, 16 -> 32 channels, 18 images, 4 threads), in 2.6 for 7x7 filters on 3
// channels. direct_filter.h mends the filter gradient, but for large filters where there is no AVX2 (2.6: 3x3,
// 256 -> 320 channels); in the rest no difference was seen with 1 to 4 threads.
std::unique_ptr<Conv2dPass> make_direct_pass(const Conv2dSpec& spec, Direction direction, DType filter_type);

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
