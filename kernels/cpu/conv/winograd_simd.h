// The kernels of winograd_kernels.h for one instruction set. Included by winograd_generic.cpp,
// winograd_avx2.cpp and winograd_avx512.cpp, each compiled with its own flags and its own TDDS_WINOGRAD_ISA
// (a namespace). Only code of this namespace and always-inlined vector operations may be used here: an inline
// function of the standard library would be compiled for this instruction set and could be linked into the
// others.

#include <cstdint>

#include "kernels/cpu/conv/winograd_kernels.h"
#include "kernels/cpu/conv/winograd_transforms.h"

namespace tdds::cpu::winograd::TDDS_WINOGRAD_ISA {
namespace {

// Iterates over tiles.
struct Position {
  template <class T>
  Position(const Tiled<T>& x, std::int64_t tile)
      : image(tile / (x.rows() * x.columns())),
        row(tile / x.columns() % x.rows() * kTile),
        column(tile % x.columns() * kTile) {}

  template <class T>
  void advance(const Tiled<T>& x) {
    column += kTile;
    if (column < x.width) return;
    column = 0;
    row += kTile;
    if (row < x.height) return;
    row = 0;
    ++image;
  }

  std::int64_t image, row, column;  // of the tile's first element
};

template <class Transform>
void transform_tiles(Tiled<const float> x, Range tiles, Range channels, const float* zeros,
                     Spectrum<float> v) {
  constexpr int kSize = Transform::kIn;
  constexpr std::int64_t kBorder = kSize == kPatch ? 1 : 0;
  Position at(x, tiles.first);
  for (std::int64_t t = 0; t < tiles.count; ++t, at.advance(x)) {
    const float* cells[kSize][kSize];
    for (int i = 0; i < kSize; ++i)
      for (int j = 0; j < kSize; ++j) {
        const std::int64_t row = at.row + i - kBorder, column = at.column + j - kBorder;
        // Branchless: at the edges of an image a branch would be hard to predict.
        const bool inside = (row >= 0) & (row < x.height) & (column >= 0) & (column < x.width);
        const std::int64_t offset = ((at.image * x.height + row) * x.width + column) * x.channels;
        cells[i][j] = inside ? x.data + offset + channels.first : zeros;
      }
    for_vectors(channels.count, [&](std::int64_t c, std::int64_t n, auto partial) {
      float* const to = v.data + t * v.row_stride + c;
      transform<Transform>(
          [&](int i, int j) {
            const float* const from = cells[i][j] + c;
            // The next tile's part of this row: the hardware does not prefetch strides this long.
            if (j >= kSize - kTile) __builtin_prefetch(from + kTile * x.channels);
            return load<partial.value>(from, n);
          },
          [&](int i, int j, Vec value) {
            store<false>(value, to + (i * kPatch + j) * v.frequency_stride, kWidth);
          });
    });
  }
}

template <bool kAccumulate, bool kWhole>
[[gnu::always_inline]] inline void transform_output_tile(Spectrum<const float> m, std::int64_t count,
                                                         Tiled<float> y, Position at, std::int64_t first) {
  const std::int64_t rows = y.height - at.row, columns = y.width - at.column;
  const std::int64_t column_stride = y.channels, row_stride = y.width * y.channels;
  float* const tile = y.data + ((at.image * y.height + at.row) * y.width + at.column) * y.channels + first;
  for_vectors(count, [&](std::int64_t k, std::int64_t n, auto partial) {
    const float* const from = m.data + k;
    transform<OutputTransform>(
        [&](int i, int j) { return load<false>(from + (i * kPatch + j) * m.frequency_stride, kWidth); },
        [&](int i, int j, Vec value) {
          if (!kWhole && (i >= rows || j >= columns)) return;
          float* const to = tile + i * row_stride + j * column_stride + k;
          if constexpr (kAccumulate) value += load<partial.value>(to, n);
          store<partial.value>(value, to, n);
        });
  });
}

template <bool kAccumulate>
void transform_output_tiles(Spectrum<const float> m, Range tiles, std::int64_t first, std::int64_t count,
                            Tiled<float> y) {
  Position at(y, tiles.first);
  for (std::int64_t t = 0; t < tiles.count; ++t, at.advance(y)) {
    const Spectrum<const float> tile{m.data + t * m.row_stride, m.frequency_stride, m.row_stride};
    if (at.row + kTile <= y.height && at.column + kTile <= y.width)
      transform_output_tile<kAccumulate, true>(tile, count, y, at, first);
    else
      transform_output_tile<kAccumulate, false>(tile, count, y, at, first);
  }
}

void transform_output(Spectrum<const float> m, Range tiles, std::int64_t first, std::int64_t count,
                      Tiled<float> y, bool accumulate) {
  if (accumulate)
    transform_output_tiles<true>(m, tiles, first, count, y);
  else
    transform_output_tiles<false>(m, tiles, first, count, y);
}

void transform_turned_filters(Filters w, std::int64_t first, std::int64_t count, Spectrum<float> u) {
  for (std::int64_t k = 0; k < w.out_channels; ++k)
    for_vectors(count, [&](std::int64_t c, std::int64_t n, auto partial) {
      const float* const from = w.data + k * 9 * w.channels + first + c;
      float* const to = u.data + k * u.row_stride + c;
      transform<FilterTransform>(
          [&](int i, int j) { return load<partial.value>(from + (8 - i * 3 - j) * w.channels, n); },
          [&](int i, int j, Vec value) {
            store<false>(value, to + (i * kPatch + j) * u.frequency_stride, kWidth);
          });
    });
}

void transform_filters(Filters w, std::int64_t first, std::int64_t count, Spectrum<float> u) {
  // Vectors run along k, memory along c: a few channels of kWidth filters are transposed in between.
  constexpr std::int64_t kChannels = 16;
  float turned[9][kChannels][kWidth] = {};
  for (std::int64_t k = 0; k < count; k += kWidth) {
    const std::int64_t filters = count - k < kWidth ? count - k : kWidth;
    for (std::int64_t c = 0; c < w.channels; c += kChannels) {
      const std::int64_t channels = w.channels - c < kChannels ? w.channels - c : kChannels;
      for (int tap = 0; tap < 9; ++tap)
        for (std::int64_t i = 0; i < kWidth; ++i) {
          const float* const from = w.data + ((first + k + i) * 9 + tap) * w.channels + c;
          __builtin_prefetch(from + 2 * kChannels);  // the hardware does not prefetch this many rows
          for (std::int64_t j = 0; j < channels; ++j) turned[tap][j][i] = i < filters ? from[j] : 0.0F;
        }
      for (std::int64_t j = 0; j < channels; ++j) {
        float* const to = u.data + (c + j) * u.row_stride + k;
        transform<FilterTransform>([&](int r, int s) { return load<false>(turned[r * 3 + s][j], kWidth); },
                                   [&](int r, int s, Vec value) {
                                     store<false>(value, to + (r * kPatch + s) * u.frequency_stride, kWidth);
                                   });
      }
    }
  }
}

void transform_filter_gradient(Spectrum<const float> m, std::int64_t copies, std::int64_t copy_stride,
                               std::int64_t k, std::int64_t channels, float* dw) {
  for_vectors(channels, [&](std::int64_t c, std::int64_t n, auto partial) {
    float* const to = dw + k * 9 * channels + c;
    transform<FilterGradientTransform>(
        [&](int i, int j) {
          const float* from = m.data + (i * kPatch + j) * m.frequency_stride + c;
          Vec sum = load<false>(from, kWidth);
          for (std::int64_t copy = 1; copy < copies; ++copy) sum += load<false>(from += copy_stride, kWidth);
          return sum;
        },
        [&](int i, int j, Vec value) { store<partial.value>(value, to + (i * 3 + j) * channels, n); });
  });
}

// Keeps kRows x kVectors sums in registers over `steps` steps.
template <int kRows, int kVectors>
inline void multiply_block(const float* a, std::int64_t a_row, std::int64_t a_step, const float* b,
                           std::int64_t b_step, std::int64_t steps, float* c, std::int64_t c_row,
                           bool accumulate) {
  Vec sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sums[i][j] = Vec(0.0F);
  for (std::int64_t s = 0; s < steps; ++s) {
    Vec row[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) row[j] = load<false>(b + s * b_step + j * kWidth, kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const Vec factor(a[i * a_row + s * a_step]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] = fma(factor, row[j], sums[i][j]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* const to = c + i * c_row + j * kWidth;
      if (accumulate) sums[i][j] += load<false>(to, kWidth);
      store<false>(sums[i][j], to, kWidth);
    }
}

// Multiplies the rows of a panel of kVectors vectors, kRows at a time, from `row` on while kRows are left.
// Returns the first row that is not done.
template <int kRows, int kVectors>
std::int64_t multiply_rows(const Product& p, std::int64_t row, std::int64_t steps, bool accumulate) {
  for (; row + kRows <= p.rows; row += kRows)
    multiply_block<kRows, kVectors>(p.a + row * p.a_row, p.a_row, p.a_step, p.b, p.b_step, steps,
                                    p.c + row * p.c_row, p.c_row, accumulate);
  return row;
}

// Multiplies the widest panel that fits into the remaining columns and returns its width.
template <int kVectors>
inline std::int64_t multiply_columns(const Product& p, std::int64_t columns, std::int64_t steps,
                                     bool accumulate) {
  if constexpr (kVectors > 1)
    if (columns < kVectors * kWidth) return multiply_columns<kVectors - 1>(p, columns, steps, accumulate);
  std::int64_t row = multiply_rows<kPanelRows, kVectors>(p, 0, steps, accumulate);
  row = multiply_rows<4, kVectors>(p, row, steps, accumulate);
  row = multiply_rows<2, kVectors>(p, row, steps, accumulate);
  multiply_rows<1, kVectors>(p, row, steps, accumulate);
  return kVectors * kWidth;
}

void multiply(const Product& whole) {
  for (std::int64_t first = 0; first < whole.steps; first += kChunk) {
    const std::int64_t left = whole.steps - first, steps = left < kChunk ? left : kChunk;
    for (std::int64_t column = 0; column < whole.columns;) {
      Product p = whole;
      p.a += first * p.a_step;
      p.b += first * p.b_step + column;
      p.c += column;
      column +=
          multiply_columns<kPanelVectors>(p, whole.columns - column, steps, whole.accumulate || first > 0);
    }
  }
}

}  // namespace

const Kernels kKernels{.width = kWidth,
                       .panel = kPanelVectors * kWidth,
                       .transform_data = transform_tiles<DataTransform>,
                       .transform_gradient = transform_tiles<GradientTransform>,
                       .transform_filters = transform_filters,
                       .transform_turned_filters = transform_turned_filters,
                       .transform_output = transform_output,
                       .transform_filter_gradient = transform_filter_gradient,
                       .multiply = multiply};

}  // namespace tdds::cpu::winograd::TDDS_WINOGRAD_ISA
