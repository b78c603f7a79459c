#include "tdds/statistics/report_statistics.h"

#include <algorithm>
#include <cmath>

#include "kernels/runtime/check.h"

namespace tdds {

std::int64_t Histogram::bin_of(double value) const {
  const auto bins = static_cast<std::int64_t>(counts.size());
  if (high <= low) return 0;
  const auto bin = static_cast<std::int64_t>((value - low) / (high - low) * static_cast<double>(bins));
  return std::clamp<std::int64_t>(bin, 0, bins - 1);
}

Histogram histogram(std::span<const float> values, int bins) {
  check(!values.empty() && bins > 0, "a histogram of {} values in {} bins cannot be made", values.size(),
        bins);
  for (std::size_t i = 0; i < values.size(); ++i)
    check(std::isfinite(values[i]), "value {} of {} is {}, so no histogram can be made", i, values.size(),
          values[i]);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  Histogram result{*low, *high, std::vector<std::int64_t>(static_cast<std::size_t>(bins))};
  for (const float value : values) ++result.counts[static_cast<std::size_t>(result.bin_of(value))];
  return result;
}

std::vector<float> standing(std::span<const double> ranks) {
  std::vector<float> shares(ranks.size(), 0.5f);
  if (ranks.size() < 2) return shares;
  const double last = static_cast<double>(ranks.size() - 1);
  for (std::size_t i = 0; i < ranks.size(); ++i) shares[i] = static_cast<float>(ranks[i] / last);
  return shares;
}

std::vector<float> disagreement(std::span<const std::vector<float>> standings) {
  check(!standings.empty(), "there are no orders to compare");
  std::vector<float> low = standings[0], high = standings[0];
  for (const std::vector<float>& shares : standings) {
    check(shares.size() == low.size(), "orders of {} and of {} samples cannot be compared", low.size(),
          shares.size());
    for (std::size_t i = 0; i < low.size(); ++i) {
      low[i] = std::min(low[i], shares[i]);
      high[i] = std::max(high[i], shares[i]);
    }
  }
  for (std::size_t i = 0; i < low.size(); ++i) high[i] -= low[i];
  return high;
}

DataMap data_map(const DynamicsReader& dynamics, std::int32_t epochs) {
  check(epochs > 0, "{} holds no epoch yet, so there is no data map", dynamics.path());
  const auto n = static_cast<std::size_t>(dynamics.samples());
  // Welford's recursion avoids cancellation where p_y hardly changes.
  std::vector<double> mean(n), squares(n);
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const float* loss = dynamics.loss(epoch);
    for (std::size_t i = 0; i < n; ++i) {
      const double p = std::exp(-static_cast<double>(loss[i])), step = p - mean[i];
      check(std::isfinite(p), "{}: the loss of sample {} in epoch {} is {}", dynamics.path(), i, epoch,
            loss[i]);
      mean[i] += step / (epoch + 1);
      squares[i] += step * (p - mean[i]);
    }
  }
  DataMap map{std::vector<float>(n), std::vector<float>(n)};
  for (std::size_t i = 0; i < n; ++i) {
    map.mean[i] = static_cast<float>(mean[i]);
    map.deviation[i] = static_cast<float>(std::sqrt(squares[i] / epochs));
  }
  return map;
}

std::vector<ConfidenceBand> confidence_bands(const DataMap& map,
                                             std::span<const std::vector<float>> standings, int bands) {
  std::vector<ConfidenceBand> result(static_cast<std::size_t>(bands));
  for (int b = 0; b < bands; ++b)
    result[static_cast<std::size_t>(b)] = {static_cast<double>(b) / bands, static_cast<double>(b + 1) / bands,
                                           0, 0, std::vector<double>(standings.size())};
  for (std::size_t i = 0; i < map.mean.size(); ++i) {
    const int at = std::clamp(static_cast<int>(map.mean[i] * static_cast<float>(bands)), 0, bands - 1);
    ConfidenceBand& band = result[static_cast<std::size_t>(at)];
    ++band.samples;
    band.deviation += map.deviation[i];
    for (std::size_t s = 0; s < standings.size(); ++s) band.standings[s] += standings[s][i];
  }
  for (ConfidenceBand& band : result) {
    if (band.samples == 0) continue;
    band.deviation /= static_cast<double>(band.samples);
    for (double& share : band.standings) share /= static_cast<double>(band.samples);
  }
  return result;
}

Repetitions repetitions(std::span<const double> values) {
  Repetitions result{static_cast<std::int64_t>(values.size())};
  if (values.empty()) return result;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  if (values.size() > 1) result.deviation = std::sqrt(squares / (n - 1));
  return result;
}

FoundShares found_at_ends(std::span<const std::int64_t> order, std::span<const std::uint8_t> wrong) {
  check(order.size() == wrong.size(), "the order has {} samples and the truth {}", order.size(),
        wrong.size());
  const auto planted =
      static_cast<std::size_t>(std::count_if(wrong.begin(), wrong.end(), [](auto w) { return w != 0; }));
  FoundShares found;
  if (planted == 0) return found;
  for (std::size_t i = 0; i < planted; ++i) {
    found.low += wrong[static_cast<std::size_t>(order[i])] != 0;
    found.high += wrong[static_cast<std::size_t>(order[order.size() - 1 - i])] != 0;
  }
  found.low /= static_cast<double>(planted);
  found.high /= static_cast<double>(planted);
  return found;
}

}  // namespace tdds
