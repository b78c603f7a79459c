#pragma once
// Winograd convolution F(4x4, 3x3), fp32, NHWC: 3x3 filters, stride 1, padding 1, any sizes
// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
//
// A convolution becomes 36 products of matrices, one per "frequency" of the transformed 6x6 patches:
//
//   forward          M_f [tiles,K] = V_f [tiles,C] U_f [C,K]      V = B^T x B   U = G w G^T     y  = A^T M A
//   data gradient    M_f [tiles,C] = V_f [tiles,K] U_f [K,C]      V = B^T dy B  U = G w' G^T    dx = A^T M A
//   filter gradient  M_f [K,C] = Y_f^T [K,tiles] V_f [tiles,C]    V = B^T x B   Y = A dy A^T    dw = G^T M G
//
// with w' the filter rotated by 180 degrees. This takes 2.25 multiply-adds per output, input and output
// channel where the definition takes 9. Errors against float64 are a few times those of direct convolution:
// relative norm below 5e-6.
//
// The bits of a result depend only on the shape and the instruction set, not on the number of threads.

#include "kernels/cpu/conv/conv2d_pass.h"
#include "kernels/runtime/isa.h"

namespace tdds::cpu::winograd {

// Whether the algorithm applies to this shape, regardless of speed.
bool supports(const Conv2dSpec& spec);

// `spec` must be supported.
std::unique_ptr<Conv2dPass> make_pass(const Conv2dSpec& spec, Direction direction, Isa isa);

}  // namespace tdds::cpu::winograd
