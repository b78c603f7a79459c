#include "tdds/selection/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/io/npy.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

Ranking ranked(std::vector<std::int64_t> ids, std::span<const float> score) {
  Ranking ranking{std::move(ids), {}};
  for (const std::int64_t id : ranking.ids) ranking.scores.push_back(score[static_cast<std::size_t>(id)]);
  return ranking;
}

}  // namespace

std::int64_t pruned_count(double rate, std::int64_t samples) {
  check_usage(rate >= 0 && rate < 1,
              "the pruning rate is {}; it is the share of samples to drop: 0 <= rate < 1", rate);
  return static_cast<std::int64_t>(rate * static_cast<double>(samples));
}

double rate_keeping(std::int64_t count, std::int64_t samples) {
  check_usage(count >= 1 && count <= samples, "{} of {} samples cannot be kept; give 1 to {}", count, samples,
              samples);
  double rate = static_cast<double>(samples - count) / static_cast<double>(samples);
  while (pruned_count(rate, samples) < samples - count) rate = std::nextafter(rate, 1.0);
  return rate;
}

std::vector<std::int64_t> kept_ids(std::span<const std::int64_t> ids, double rate) {
  const auto kept =
      ids.subspan(static_cast<std::size_t>(pruned_count(rate, static_cast<std::int64_t>(ids.size()))));
  return {kept.begin(), kept.end()};
}

std::vector<std::int64_t> random_subset(std::int64_t samples, std::int64_t count, std::uint64_t seed,
                                        std::uint32_t draw) {
  check(count >= 0 && count <= samples, "{} of {} samples cannot be drawn", count, samples);
  // The samples with the smallest of N independent 64-bit keys are a uniform subset.
  std::vector<std::pair<std::uint64_t, std::int64_t>> keyed(static_cast<std::size_t>(samples));
  for (std::int64_t id = 0; id < samples; ++id) {
    const PhiloxWords words = philox(seed, Purpose::kSelect, draw, static_cast<std::uint64_t>(id));
    keyed[static_cast<std::size_t>(id)] = {std::uint64_t{words.w[0]} << 32 | words.w[1], id};
  }
  std::nth_element(keyed.begin(), keyed.begin() + count, keyed.end());
  std::vector<std::int64_t> ids(static_cast<std::size_t>(count));
  std::transform(keyed.begin(), keyed.begin() + count, ids.begin(),
                 [](const auto& key) { return key.second; });
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<std::int64_t> count_by_class(std::span<const std::int64_t> ids,
                                         std::span<const std::int32_t> labels, std::int32_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes));
  for (const std::int64_t id : ids) {
    check(id >= 0 && id < static_cast<std::int64_t>(labels.size()), "sample {} has no label: there are {}",
          id, labels.size());
    const std::int32_t label = labels[static_cast<std::size_t>(id)];
    check(label >= 0 && label < classes, "sample {} has label {}; the classes are 0 to {}", id, label,
          classes - 1);
    ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

Ranking rank_by_score(std::span<const float> score) {
  return ranked(order_by_score(score), score);
}
Ranking rank_by_score(Device& device, std::span<const float> score) {
  return ranked(order_by_score(device, score), score);
}

RankingFiles ranking_files(const std::string& folder, const std::string& stem) {
  return {fmt::format("{}/data_mask_{}.npy", folder, stem), fmt::format("{}/score_{}.npy", folder, stem)};
}

RankingFiles official_ranking_files(const std::string& folder, int window_size, int trajectory_len) {
  return ranking_files(folder, fmt::format("win{}_ep{}", window_size, trajectory_len));
}

void write_ranking(const RankingFiles& files, const Ranking& ranking) {
  const auto samples = static_cast<std::int64_t>(ranking.ids.size());
  write_npy(files.mask, ranking.ids, {samples});
  write_npy(files.score, ranking.scores, {samples});
}

Ranking read_ranking(const RankingFiles& files) {
  Ranking ranking{read_npy_i64(files.mask), read_npy_f32(files.score)};
  check(!ranking.ids.empty(), "{} lists no samples", files.mask);
  check(ranking.ids.size() == ranking.scores.size(), "{} lists {} samples, but {} has {} scores", files.mask,
        ranking.ids.size(), files.score, ranking.scores.size());
  check_permutation(ranking.ids, files.mask);
  for (std::size_t i = 0; i < ranking.scores.size(); ++i) {
    check(std::isfinite(ranking.scores[i]), "{} holds a score that is not finite, at position {}",
          files.score, i);
    check(i == 0 || ranking.scores[i - 1] <= ranking.scores[i],
          "{} is not in ascending order at position {}; it must hold the scores sorted, as data_mask lists "
          "the samples",
          files.score, i);
  }
  return ranking;
}

std::vector<float> subset_weights(const Ranking& ranking) {
  std::vector<float> weights(ranking.ids.size(), 1.0f);
  if (ranking.ids.empty() || ranking.scores.front() == ranking.scores.back()) return weights;
  const double low = ranking.scores.front(), range = ranking.scores.back() - low;
  for (std::size_t i = 0; i < ranking.ids.size(); ++i)
    weights[static_cast<std::size_t>(ranking.ids[i])] = static_cast<float>((ranking.scores[i] - low) / range);
  return weights;
}

void check_permutation(std::span<const std::int64_t> ids, const std::string& source) {
  const auto samples = static_cast<std::int64_t>(ids.size());
  std::vector<bool> seen(ids.size());
  std::int64_t twice = -1;
  for (const std::int64_t id : ids) {
    check(id >= 0 && id < samples, "{} holds the sample id {}; with {} samples the ids are 0 to {}", source,
          id, samples, samples - 1);
    if (seen[static_cast<std::size_t>(id)] && twice < 0) twice = id;
    seen[static_cast<std::size_t>(id)] = true;
  }
  check(twice < 0, "{} holds the sample id {} twice and {} not at all; each must occur once", source, twice,
        std::find(seen.begin(), seen.end(), false) - seen.begin());
}

}  // namespace tdds
