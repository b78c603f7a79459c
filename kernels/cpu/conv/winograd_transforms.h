// The vector type of one instruction set and Winograd's transforms on it. Part of winograd_simd.h; its rules
// apply.
//
// F(4x4, 3x3) at the points 0, a, -a, b, -b and infinity, a = 5/8, b = 3/2 (0, 1, -1, 2, -2 lose twice as
// many digits). In one dimension, with Na = 2 a^2 (a^2 - b^2), Nb = 2 b^2 (b^2 - a^2), N0 = a^2 b^2:
//
// clang-format off
//       | N0    0    -a^2-b^2    0      1  0 |     | 1/N0    0     0     |
//       |  0  -ab^2    -b^2      a      1  0 |     | 1/Na   a/Na  a^2/Na |       | 1  1    1    1    1    0 |
// B^T = |  0   ab^2    -b^2     -a      1  0 | G = | 1/Na  -a/Na  a^2/Na | A^T = | 0  a   -a    b   -b    0 |
//       |  0  -a^2b    -a^2      b      1  0 |     | 1/Nb   b/Nb  b^2/Nb |       | 0  a^2  a^2  b^2  b^2  0 |
//       |  0   a^2b    -a^2     -b      1  0 |     | 1/Nb  -b/Nb  b^2/Nb |       | 0  a^3 -a^3  b^3 -b^3  1 |
//       |  0    N0       0    -a^2-b^2  0  1 |     |  0      0     1     |
// clang-format on
//
// y = A^T [(G g) * (B^T d)] is exact: 6 products where the definition takes 12, in two dimensions 36 for 144.
//
// All multiply-adds are written as such and the compiler forms no others (-ffp-contract=off), so every
// element is rounded in the same way at every position.

#include <cstdint>
#include <experimental/simd>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

// Partial: only `n` of the floats exist; the others are read as zero and are not written.
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

// Applies a transform in both dimensions: reads in(row, column) and calls out(row, column, value).
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

}  // namespace
}  // namespace tdds::cpu::winograd::TDDS_WINOGRAD_ISA
