#include "tdds/selection/strategy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/data/class_shares.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

std::int64_t kept_count(double rate, std::size_t samples) {
  const auto all = static_cast<std::int64_t>(samples);
  return all - pruned_count(rate, all);
}

double uniform_of(std::uint64_t seed, std::uint32_t draw, std::int64_t id) {
  return unit(philox(seed, Purpose::kSelect, draw, static_cast<std::uint64_t>(id)).w[0]);
}

// The `count` ids with the smallest keys; equal keys by id.
std::vector<std::int64_t> smallest(std::vector<std::pair<double, std::int64_t>> keyed, std::int64_t count) {
  std::nth_element(keyed.begin(), keyed.begin() + count, keyed.end());
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(keyed[static_cast<std::size_t>(i)].second);
  return ids;
}

}  // namespace

std::vector<std::int64_t> select_balanced(std::span<const float> score, std::span<const std::int32_t> labels,
                                          std::int32_t classes, double rate) {
  check(labels.size() == score.size(), "there are {} labels for {} scores", labels.size(), score.size());
  const std::int64_t kept = kept_count(rate, score.size());
  check_usage(
      kept >= classes,
      "a rate of {} keeps {} samples for {} classes; a balanced selection needs one of each: lower it", rate,
      kept, classes);
  const std::vector<std::int64_t> order = order_by_score(score);
  const std::vector<std::int64_t> share = class_shares(count_by_class(order, labels, classes), kept);
  std::vector<std::int64_t> taken(share.size()), ids;
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const auto label = static_cast<std::size_t>(labels[static_cast<std::size_t>(*id)]);
    if (taken[label] == share[label]) continue;
    ++taken[label];
    ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

void check_strata(int strata, std::int64_t samples) {
  check_usage(strata >= 1 && strata <= samples,
              "`ccs_strata` is {}, but there are {} samples; give at least 1 stratum and at most one per "
              "sample",
              strata, samples);
}

void check_beta_exponent(double c) {
  check_usage(std::isfinite(c) && c > 0, "`beta_c` is {}; the exponent of Beta sampling is a number above 0",
              c);
}

std::vector<std::int64_t> select_ccs(std::span<const float> score, std::span<const float> hardness,
                                     double rate, const CcsOptions& options) {
  check(hardness.size() == score.size(), "there are {} hardnesses for {} scores", hardness.size(),
        score.size());
  check_usage(
      options.beta >= 0 && options.beta <= rate,
      "the hard cut-off beta is {}, but the rate {}; beta is a part of the pruned share: 0 <= beta <= rate",
      options.beta, rate);
  const auto samples = static_cast<std::int64_t>(score.size());
  check_strata(options.strata, samples);
  std::vector<std::int64_t> easier = order_by_score(hardness);
  easier.resize(easier.size() - static_cast<std::size_t>(pruned_count(options.beta, samples)));

  float low = std::numeric_limits<float>::infinity(), high = -low;
  for (const std::int64_t id : easier) {
    low = std::min(low, score[static_cast<std::size_t>(id)]);
    high = std::max(high, score[static_cast<std::size_t>(id)]);
  }
  const double width = (static_cast<double>(high) - low) / options.strata;
  std::vector<std::vector<std::pair<double, std::int64_t>>> strata(static_cast<std::size_t>(options.strata));
  for (const std::int64_t id : easier) {
    const double above = static_cast<double>(score[static_cast<std::size_t>(id)]) - low;
    const int stratum = width > 0 ? std::min(static_cast<int>(above / width), options.strata - 1) : 0;
    strata[static_cast<std::size_t>(stratum)].emplace_back(uniform_of(options.seed, 1, id), id);
  }
  std::stable_sort(strata.begin(), strata.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  std::int64_t budget = kept_count(rate, score.size());
  std::vector<std::int64_t> ids;
  for (std::size_t i = 0; i < strata.size(); ++i) {
    const std::int64_t even = budget / static_cast<std::int64_t>(strata.size() - i);
    const std::int64_t take = std::min(even, static_cast<std::int64_t>(strata[i].size()));
    const auto drawn = smallest(std::move(strata[i]), take);
    ids.insert(ids.end(), drawn.begin(), drawn.end());
    budget -= take;
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<std::int64_t> select_beta(std::span<const float> score, const MeanConfidence& confidence,
                                      double rate, double c, std::uint64_t seed) {
  check(confidence.p.size() == score.size(), "there are {} confidences for {} scores", confidence.p.size(),
        score.size());
  check_beta_exponent(c);
  const std::vector<std::int64_t> order = order_by_score(score);
  const std::size_t top = std::min<std::size_t>(10, order.size());
  double mean_miss = 0;  // 1 - mu
  for (std::size_t i = order.size() - top; i < order.size(); ++i)
    mean_miss += confidence.miss[static_cast<std::size_t>(order[i])] / static_cast<double>(top);
  const double b = 15 * mean_miss * (1 - std::pow(rate, c)), a = 16 - b;

  // The smallest of exponential variates with the weights as rates are a draw without replacement. Keys are
  // logarithms, because the density spans hundreds of decades.
  std::vector<std::pair<double, std::int64_t>> keyed;
  for (std::size_t i = 0; i < score.size(); ++i) {
    check(score[i] >= 0, "Beta sampling needs scores of at least 0; sample {} has {}", i, score[i]);
    const double log_weight = (a - 1) * std::log(confidence.p[i]) + (b - 1) * std::log(confidence.miss[i]) +
                              std::log(static_cast<double>(score[i]));
    const double key = std::log(-std::log(uniform_of(seed, 2, static_cast<std::int64_t>(i)))) - log_weight;
    // Weight 0, or 0 times infinity where p is 0 or 1: drawn last.
    keyed.emplace_back(std::isnan(key) ? std::numeric_limits<double>::infinity() : key,
                       static_cast<std::int64_t>(i));
  }
  auto ids = smallest(std::move(keyed), kept_count(rate, score.size()));
  std::sort(ids.begin(), ids.end());
  return ids;
}

Ranking ranking_of(std::span<const std::int64_t> kept, std::int64_t samples) {
  std::vector<float> score(static_cast<std::size_t>(samples));
  for (const std::int64_t id : kept) score[static_cast<std::size_t>(id)] = 1.0f;
  return rank_by_score(score);
}

}  // namespace tdds
