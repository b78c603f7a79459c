#pragma once
// The innermost functions of the Winograd convolution (winograd.h), compiled once per instruction set. Each
// runs on the calling thread; winograd_output.cpp and winograd_filter.cpp divide the work and lay out the
// memory.
//
// A 4x4 tile of the output depends on a 6x6 patch of the input, which starts one row above and one column to
// the left of it. Tiles are numbered image by image, row by row. A transformed tensor has 36 frequencies.

#include <cstdint>

#include "kernels/numerics/round_up.h"
#include "kernels/runtime/isa.h"

namespace tdds::cpu::winograd {

constexpr std::int64_t kTile = 4, kPatch = 6, kFrequencies = kPatch * kPatch;

// An NHWC tensor divided into tiles; those at the right and at the bottom may extend beyond the image.
template <class T>
struct Tiled {
  T* data;
  std::int64_t height, width, channels;

  // Always inline: an out-of-line copy compiled for one instruction set could be linked into all of them.
  [[gnu::always_inline]] std::int64_t rows() const { return ceil_div(height, kTile); }
  [[gnu::always_inline]] std::int64_t columns() const { return ceil_div(width, kTile); }
};

// A range of tiles or of channels.
struct Range {
  std::int64_t first, count;
};

// [36][rows][columns], element (f, row, column) at data[f * frequency_stride + row * row_stride + column].
template <class T>
struct Spectrum {
  T* data;
  std::int64_t frequency_stride, row_stride;
};

struct Filters {
  const float* data;  // KRSC, R = S = 3
  std::int64_t out_channels, channels;
};

// c[i,j] = sum_s a[i * a_row + s * a_step] * b[s * b_step + j], added to c if `accumulate`. The sum is split
// into partial sums over kChunk steps, each started at zero, because shorter sums round less.
struct Product {
  const float* a;
  std::int64_t a_row, a_step;
  const float* b;
  std::int64_t b_step;
  float* c;
  std::int64_t c_row;
  std::int64_t rows, columns, steps;  // columns: a multiple of the vector's width
  bool accumulate;
};
constexpr std::int64_t kChunk = 128;

// "Padded" channels: up to the next multiple of `width`.
struct Kernels {
  std::int64_t width;  // floats in a vector
  std::int64_t panel;  // floats in a row of the micro-kernel, a multiple of width

  // v (f, tile - tiles.first, c - channels.first) = B^T d B of each patch d; zeros beyond the image and in
  // padded channels. `zeros` holds as many zeros as x has padded channels.
  void (*transform_data)(Tiled<const float> x, Range tiles, Range channels, const float* zeros,
                         Spectrum<float> v);
  // v = A d A^T of each 4x4 tile d of dy; the same conventions.
  void (*transform_gradient)(Tiled<const float> dy, Range tiles, Range channels, const float* zeros,
                             Spectrum<float> v);
  // u (f, c, k - first) = G g G^T of each filter w[k,:,:,c], k = first .. first + count - 1; zeros in padded
  // k.
  void (*transform_filters)(Filters w, std::int64_t first, std::int64_t count, Spectrum<float> u);
  // The same for the data gradient: the filter rotated by 180 degrees, input and output channels exchanged:
  // u (f, k, c - first), c = first .. first + count - 1.
  void (*transform_turned_filters)(Filters w, std::int64_t first, std::int64_t count, Spectrum<float> u);
  // y[tile, first .. first + count - 1] = A^T m A, added to y if `accumulate`; values beyond y are dropped.
  void (*transform_output)(Spectrum<const float> m, Range tiles, std::int64_t first, std::int64_t count,
                           Tiled<float> y, bool accumulate);
  // dw[k,:,:,c] = G^T m G for all c, with m (f, 0, c) the sum of `copies`, `copy_stride` floats apart.
  void (*transform_filter_gradient)(Spectrum<const float> m, std::int64_t copies, std::int64_t copy_stride,
                                    std::int64_t k, std::int64_t channels, float* dw);
  void (*multiply)(const Product& product);
};

// The functions for one instruction set. On other machines than x86-64 the three are identical.
const Kernels& kernels(Isa isa);

namespace generic {
extern const Kernels kKernels;
}
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}

}  // namespace tdds::cpu::winograd
