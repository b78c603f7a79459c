#include "tdds/statistics/rank_correlation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "kernels/runtime/check.h"

namespace tdds {

std::vector<double> average_ranks(std::span<const float> values) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return values[a] < values[b] || (values[a] == values[b] && a < b);
  });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double mean = 0.5 * static_cast<double>(begin + end - 1);
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = mean;
  }
  return ranks;
}

double correlation_of_ranks(std::span<const double> a, std::span<const double> b) {
  check(a.size() == b.size() && !a.empty(), "ranks of {} and of {} samples cannot be compared", a.size(),
        b.size());
  const double mean = 0.5 * static_cast<double>(a.size() - 1);  // of any ranks
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) * (a[i] - mean);
    bb += (b[i] - mean) * (b[i] - mean);
  }
  if (aa == 0 || bb == 0) return aa == bb ? 1 : 0;
  return ab / std::sqrt(aa * bb);
}

double rank_correlation(std::span<const float> a, std::span<const float> b) {
  return correlation_of_ranks(average_ranks(a), average_ranks(b));
}

}  // namespace tdds
