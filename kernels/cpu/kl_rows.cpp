#include "kernels/ops/kl_rows.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

constexpr double kEpsilon = 1e-8;

constexpr double kLowest = -700;  // exp of less is denormal

// exp(x) for kLowest <= x <= 0, relative error below 1e-15: x = k ln2 + r, a Taylor polynomial in |r| <= ln2
// / 2.
[[gnu::always_inline]] inline double fast_exp(double x) {
  constexpr double kToInteger = 0x1.8p52;  // adding it leaves round(x / ln2) in the low bits
  constexpr double kLog2e = 1.4426950408889634, kLn2High = 0x1.62e42fefa0000p-1,
                   kLn2Low = 0x1.cf79abc9e3b3ap-40;
  const double shifted = x * kLog2e + kToInteger;
  const double k = shifted - kToInteger;
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double sum = 1.0 / 479001600;
  sum = sum * r + 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r + 1;
  sum = sum * r + 1;
  return sum * std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
}

// log(x) for normal x > 0, relative error below 1e-12: x = 2^k z, z in [sqrt(1/2), sqrt(2)), and
// log z = 2 atanh((z - 1) / (z + 1)).
[[gnu::always_inline]] inline double fast_log(double x) {
  constexpr std::uint64_t kSqrtHalf = 0x3FE6A09E667F3BCDu, kBias = 1024, kTwo52 = 0x4330000000000000u;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t exponent = (bits - kSqrtHalf + (kBias << 52)) >> 52;  // k + bias, never negative
  const double k = std::bit_cast<double>(exponent | kTwo52) - (0x1p52 + static_cast<double>(kBias));
  const auto z = std::bit_cast<double>(bits - ((exponent - kBias) << 52));
  const double s = (z - 1) / (z + 1), square = s * s;
  double sum = 1.0 / 15;
  sum = sum * square + 1.0 / 13;
  sum = sum * square + 1.0 / 11;
  sum = sum * square + 1.0 / 9;
  sum = sum * square + 1.0 / 7;
  sum = sum * square + 1.0 / 5;
  sum = sum * square + 1.0 / 3;
  return k * 0.6931471805599453 + (2 * s + 2 * s * square * sum);
}

[[gnu::always_inline]] inline bool all_finite(const float* z, std::int32_t classes) {
  constexpr std::uint32_t kExponent = 0x7F800000u;
  std::uint32_t bad = 0;
#pragma omp simd reduction(| : bad)
  for (std::int32_t c = 0; c < classes; ++c)
    bad |= (std::bit_cast<std::uint32_t>(z[c]) & kExponent) == kExponent;
  return bad == 0;
}

[[gnu::always_inline]] inline std::int32_t argmax(const float* z, std::int32_t classes) {
  float largest = z[0];
#pragma omp simd reduction(max : largest)
  for (std::int32_t c = 0; c < classes; ++c) largest = z[c] > largest ? z[c] : largest;
  std::int32_t first = std::numeric_limits<std::int32_t>::max();
#pragma omp simd reduction(min : first)
  for (std::int32_t c = 0; c < classes; ++c) {
    const std::int32_t candidate = z[c] == largest ? c : std::numeric_limits<std::int32_t>::max();
    first = candidate < first ? candidate : first;
  }
  return first;
}

[[gnu::always_inline]] inline void exponentials(const float* z, std::int32_t top, std::int32_t classes,
                                                double* e) {
  const double max = z[top];
  // The bound has its own loop: inside the other it becomes a branch, which is not vectorised.
  for (std::int32_t c = 0; c < classes; ++c) {
    const double below = z[c] - max;
    e[c] = below < kLowest ? kLowest : below;
  }
  for (std::int32_t c = 0; c < classes; ++c) e[c] = fast_exp(e[c]);
}

[[gnu::always_inline]] inline double sum_of_others(double* e, std::int32_t top, std::int32_t classes) {
  e[top] = 0;
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int32_t c = 0; c < classes; ++c) sum += e[c];
  e[top] = 1;
  return sum;
}

// A separate loop: an addition in the same loop would be fused with the product for one of the two visits and
// not for the other, and equal logits would not give exactly 0.
[[gnu::always_inline]] inline void normalise(const VisitNorm& visit, std::int32_t classes, double* e) {
  const double inverse = 1 / (1 + visit.rest);
  for (std::int32_t c = 0; c < classes; ++c) e[c] *= inverse;
}

// log(p_c + eps). For the largest class it is computed from 1 - p, which keeps its digits where p rounds to
// 1.
double log_p(double p, const VisitNorm& visit, std::int32_t c) {
  return c == visit.top ? std::log1p(kEpsilon - visit.rest / (1 + visit.rest)) : std::log(p + kEpsilon);
}

[[gnu::always_inline]] inline double kl_of_row(const double* p, const VisitNorm& now, double* previous_p,
                                               const VisitNorm& previous, std::int32_t classes) {
  const auto exact_term = [&](std::int32_t c) {
    return p[c] * std::abs(log_p(p[c], now, c) - log_p(previous_p[c], previous, c));
  };
  const double top_term = exact_term(now.top), previous_top_term = exact_term(previous.top);
  double* term = previous_p;
  for (std::int32_t c = 0; c < classes; ++c) {
    const double change = fast_log((p[c] + kEpsilon) / (previous_p[c] + kEpsilon));
    term[c] = p[c] * (change < 0 ? -change : change);
  }
  term[now.top] = top_term;
  term[previous.top] = previous_top_term;
  double kl = 0;
#pragma omp simd reduction(+ : kl)
  for (std::int32_t c = 0; c < classes; ++c) kl += term[c];
  return kl;
}

struct KlRows {
  [[gnu::always_inline]] static inline std::int64_t run(const KlRowsArgs& args) {
    const std::int32_t classes = args.classes;
    double *p = args.scratch, *previous_p = args.scratch + classes;
    for (std::int64_t row = 0; row < args.rows; ++row) {
      const float* z = args.logits + row * classes;
      if (!all_finite(z, classes)) return row;
      const std::int64_t id = args.ids[row];
      float* previous_z = args.previous_logits + id * classes;
      VisitNorm now{0, argmax(z, classes)};
      exponentials(z, now.top, classes, p);
      now.rest = sum_of_others(p, now.top, classes);
      if (args.kl) {
        const VisitNorm previous = args.previous[id];
        exponentials(previous_z, previous.top, classes, previous_p);
        normalise(now, classes, p);
        normalise(previous, classes, previous_p);
        args.kl[id] = kl_of_row(p, now, previous_p, previous, classes);
      }
      std::memcpy(previous_z, z, static_cast<std::size_t>(classes) * sizeof(float));
      args.previous[id] = now;
    }
    return -1;
  }
};

}  // namespace

std::int64_t kl_rows(const KlRowsArgs& args) {
  return run_vectorized<KlRows>(args);
}

}  // namespace tdds::cpu
