#pragma once
// oneDNN, versions 2 and 3, whose interfaces differ: the only file pair that includes its headers.

#include "kernels/cpu/conv2d_pass.h"

namespace tdds::cpu::onednn {

// Direct convolution, fp32. Activations stay NHWC; the filter is KRSC outside and is reordered, within the
// workspace, into what the primitive wants. Throws Error when oneDNN has no implementation.
//
// The number of threads does not change the bits of any shape of the ResNets, with two exceptions: the filter
// gradient, which direct_filter.h mends, and a data gradient served by oneDNN's gemm, as that of a 7x7 filter on 3
// channels is in version 2.6 (no network asks for the gradient of its input).
std::unique_ptr<Conv2dPass> make_direct_pass(const Conv2dSpec& spec, Direction direction);

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
