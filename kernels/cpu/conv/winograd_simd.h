// The kernels of winograd_kernels.h for one instruction set: included by winograd_generic.cpp,
// winograd_avx2.cpp and winograd_avx512.cpp, each compiled with its own flags, each with its own
// TDDS_WINOGRAD_ISA (a namespace). Only code of this namespace and always-inlined vector operations may be
// used here: an inline function of the standard library would be compiled for this instruction set and could
// be linked into all others.
//
// F(4x4, 3x3) at the points 0, a, -a, b, -b and infinity, a = 5/8, b = 3/2 (0, 1, -1, 2, -2 lose twice as
// many digits). In one dimension, with Na = 2 a^2 (a^2 - b^2), Nb = 2 b^2 (b^2 - a^2), N0 = a^2 b^2:
//
//         | N0    0    -a^2-b^2    0      1  0 |        | 1/N0    0     0     |
//         |  0  -ab^2    -b^2      a      1  0 |        | 1/Na   a/Na  a^2/Na |         | 1  1    1    1    1
//         0 |
//   B^T = |  0   ab^2    -b^2     -a      1  0 |    G = | 1/Na  -a/Na  a^2/Na |   A^T = | 0  a   -a    b   -b
//   0 |
//         |  0  -a^2b    -a^2      b      1  0 |        | 1/Nb   b/Nb  b^2/Nb |         | 0  a^2  a^2  b^2
//         b^2 0 | |  0   a^2b    -a^2     -b      1  0 |        | 1/Nb  -b/Nb  b^2/Nb |         | 0  a^3 -a^3
//         b^3 -b^3 1 | |  0    N0       0    -a^2-b^2  0  1 |        |  0      0     1     |
//
// y = A^T [(G g) * (B^T d)] is exact: 6 products where the definition takes 12, in two dimensions 36 for 144.
//
// All multiply-adds are written as such and the compiler forms no others (-ffp-contract=off), so every
// element is rounded in the same way wherever it stands.

#include <cstdint>
#include <experimental/simd>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/cpu/winograd_kernels.h"

namespace tdds::cpu::winograd::TDDS_WINOGRAD_ISA {
namespace {

namespace stdx = std::experimental;

#if defined(__AVX512F__)
constexpr std::int64_t kWidth = 16;
constexpr int kPanelVectors = 4;  // 6 x 4 sums in 32 registers
#elif defined(__AVX2__)
constexpr std::int64_t kWidth = 8;
constexpr int kPanelVectors = 2;  // 6 x 2 sums in 16 registers
#else
constexpr std::int64_t kWidth = 4;
constexpr int kPanelVectors = 2;
#endif
constexpr int kPanelRows = 6;

using Vec = stdx::simd<float, stdx::simd_abi::deduce_t<float, kWidth>>;

// stdx::fma is not vectorised for every width, hence the intrinsics.
inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return Vec(_mm512_fmadd_ps(static_cast<__m512>(a), static_cast<__m512>(b), static_cast<__m512>(c)));
#elif defined(__FMA__)
  return Vec(_mm256_fmadd_ps(static_cast<__m256>(a), static_cast<__m256>(b), static_cast<__m256>(c)));
#else
  return a * b + c;
#endif
}
inline Vec fma(float a, Vec b, Vec c) {
  return fma(Vec(a), b, c);
}

// Partial: `n` of the floats are there, the others read as zero and are not written.
template <bool kPartial>
inline Vec load(const float* from, std::int64_t n) {
  if constexpr (!kPartial) return Vec(from, stdx::element_aligned);
  float values[kWidth] = {};
  for (std::int64_t i = 0; i < n; ++i) values[i] = from[i];
  return Vec(values, stdx::element_aligned);
}
template <bool kPartial>
inline void store(Vec value, float* to, std::int64_t n) {
  if constexpr (!kPartial) {
    value.copy_to(to, stdx::element_aligned);
  } else {
    float values[kWidth];
    value.copy_to(values, stdx::element_aligned);
    for (std::int64_t i = 0; i < n; ++i) to[i] = values[i];
  }
}

// Calls body(first channel, channels left, partial as a type) for each vector of `channels`.
template <bool kValue>
struct Bool {
  static constexpr bool value = kValue;
};
template <class Body>
inline void for_vectors(std::int64_t channels, const Body& body) {
  std::int64_t c = 0;
  for (; c + kWidth <= channels; c += kWidth) body(c, kWidth, Bool<false>{});
  if (c < channels) body(c, channels - c, Bool<true>{});
}

constexpr float kA = 0.625F, kA2 = kA * kA, kA3 = kA2 * kA;  // exact, as all powers of a and b here
constexpr float kB = 1.5F, kB2 = kB * kB, kB3 = kB2 * kB;
constexpr float kN0 = kA2 * kB2;
constexpr double kExactA2 = kA2, kExactB2 = kB2;
constexpr float kInvN0 = static_cast<float>(1 / (kExactA2 * kExactB2));
constexpr float kInvNa = static_cast<float>(1 / (2 * kExactA2 * (kExactA2 - kExactB2)));
constexpr float kInvNb = static_cast<float>(1 / (2 * kExactB2 * (kExactB2 - kExactA2)));

struct DataTransform {  // B^T d
  static constexpr int kIn = 6, kOut = 6;
  static inline void apply(const Vec (&d)[kIn], Vec (&t)[kOut]) {
    const Vec a_even = fma(-kB2, d[2], d[4]), a_odd = fma(-kB2, d[1], d[3]);
    const Vec b_even = fma(-kA2, d[2], d[4]), b_odd = fma(-kA2, d[1], d[3]);
    t[0] = fma(kN0, d[0], fma(-(kA2 + kB2), d[2], d[4]));
    t[1] = fma(kA, a_odd, a_even);
    t[2] = fma(-kA, a_odd, a_even);
    t[3] = fma(kB, b_odd, b_even);
    t[4] = fma(-kB, b_odd, b_even);
    t[5] = fma(kN0, d[1], fma(-(kA2 + kB2), d[3], d[5]));
  }
};

struct FilterTransform {  // G g
  static constexpr int kIn = 3, kOut = 6;
  static inline void apply(const Vec (&g)[kIn], Vec (&t)[kOut]) {
    const Vec a_even = Vec(kInvNa) * fma(kA2, g[2], g[0]), b_even = Vec(kInvNb) * fma(kB2, g[2], g[0]);
    t[0] = Vec(kInvN0) * g[0];
    t[1] = fma(kA * kInvNa, g[1], a_even);
    t[2] = fma(-kA * kInvNa, g[1], a_even);
    t[3] = fma(kB * kInvNb, g[1], b_even);
    t[4] = fma(-kB * kInvNb, g[1], b_even);
    t[5] = g[2];
  }
};

struct OutputTransform {  // A^T m
  static constexpr int kIn = 6, kOut = 4;
  static inline void apply(const Vec (&m)[kIn], Vec (&t)[kOut]) {
    const Vec a_sum = m[1] + m[2], a_difference = m[1] - m[2];
    const Vec b_sum = m[3] + m[4], b_difference = m[3] - m[4];
    t[0] = m[0] + (a_sum + b_sum);
    t[1] = fma(kA, a_difference, Vec(kB) * b_difference);
    t[2] = fma(kA2, a_sum, Vec(kB2) * b_sum);
    t[3] = fma(kA3, a_difference, fma(kB3, b_difference, m[5]));
  }
};

struct GradientTransform {  // A d
  static constexpr int kIn = 4, kOut = 6;
  static inline void apply(const Vec (&d)[kIn], Vec (&t)[kOut]) {
    const Vec a_even = fma(kA2, d[2], d[0]), a_odd = fma(kA2, d[3], d[1]);
    const Vec b_even = fma(kB2, d[2], d[0]), b_odd = fma(kB2, d[3], d[1]);
    t[0] = d[0];
    t[1] = fma(kA, a_odd, a_even);
    t[2] = fma(-kA, a_odd, a_even);
    t[3] = fma(kB, b_odd, b_even);
    t[4] = fma(-kB, b_odd, b_even);
    t[5] = d[3];
  }
};

struct FilterGradientTransform {  // G^T m
  static constexpr int kIn = 6, kOut = 3;
  static inline void apply(const Vec (&m)[kIn], Vec (&t)[kOut]) {
    const Vec a_sum = Vec(kInvNa) * (m[1] + m[2]), a_difference = Vec(kInvNa) * (m[1] - m[2]);
    const Vec b_sum = Vec(kInvNb) * (m[3] + m[4]), b_difference = Vec(kInvNb) * (m[3] - m[4]);
    t[0] = fma(kInvN0, m[0], a_sum + b_sum);
    t[1] = fma(kA, a_difference, Vec(kB) * b_difference);
    t[2] = fma(kA2, a_sum, fma(kB2, b_sum, m[5]));
  }
};

// Both dimensions: in(row, column) yields, out(row, column, value) takes.
template <class Transform, class In, class Out>
[[gnu::always_inline]] inline void transform(const In& in, const Out& out) {
  constexpr int kIn = Transform::kIn, kOut = Transform::kOut;
  Vec half[kOut][kIn];
#pragma GCC unroll 6
  for (int column = 0; column < kIn; ++column) {
    Vec from[kIn], to[kOut];
#pragma GCC unroll 6
    for (int row = 0; row < kIn; ++row) from[row] = in(row, column);
    Transform::apply(from, to);
#pragma GCC unroll 6
    for (int row = 0; row < kOut; ++row) half[row][column] = to[row];
  }
#pragma GCC unroll 6
  for (int row = 0; row < kOut; ++row) {
    Vec to[kOut];
    Transform::apply(half[row], to);
#pragma GCC unroll 6
    for (int column = 0; column < kOut; ++column) out(row, column, to[column]);
  }
}

// Goes from tile to tile.
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
        // Without branches, which edges would make hard to predict.
        const bool inside = (row >= 0) & (row < x.height) & (column >= 0) & (column < x.width);
        const std::int64_t offset = ((at.image * x.height + row) * x.width + column) * x.channels;
        cells[i][j] = inside ? x.data + offset + channels.first : zeros;
      }
    for_vectors(channels.count, [&](std::int64_t c, std::int64_t n, auto partial) {
      float* const to = v.data + t * v.row_stride + c;
      transform<Transform>(
          [&](int i, int j) {
            const float* const from = cells[i][j] + c;
            // The next tile's share of this row: strides this long escape the hardware's prefetch.
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
  // Vectors run along k, memory along c: a few channels of kWidth filters are turned over in between.
  constexpr std::int64_t kChannels = 16;
  float turned[9][kChannels][kWidth] = {};
  for (std::int64_t k = 0; k < count; k += kWidth) {
    const std::int64_t filters = count - k < kWidth ? count - k : kWidth;
    for (std::int64_t c = 0; c < w.channels; c += kChannels) {
      const std::int64_t channels = w.channels - c < kChannels ? w.channels - c : kChannels;
      for (int tap = 0; tap < 9; ++tap)
        for (std::int64_t i = 0; i < kWidth; ++i) {
          const float* const from = w.data + ((first + k + i) * 9 + tap) * w.channels + c;
          __builtin_prefetch(from + 2 * kChannels);  // so many rows escape the hardware's prefetch
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

// kRows x kVectors sums in registers over `steps` steps.
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

// Rows of a panel of kVectors vectors, kRows at a time, from `row` on while there are as many; the first not
// done.
template <int kRows, int kVectors>
std::int64_t multiply_rows(const Product& p, std::int64_t row, std::int64_t steps, bool accumulate) {
  for (; row + kRows <= p.rows; row += kRows)
    multiply_block<kRows, kVectors>(p.a + row * p.a_row, p.a_row, p.a_step, p.b, p.b_step, steps,
                                    p.c + row * p.c_row, p.c_row, accumulate);
  return row;
}

// The widest panel that still fits into the columns left.
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
