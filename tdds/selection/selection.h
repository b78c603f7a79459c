#pragma once
// Selects the kept samples by their scores, and reads and writes the official mask and score files.
//
// A rate is the share that is *pruned*: the samples are ordered by ascending score, and the kept ones are
// mask[int(rate * N):], the highest scores (official train_subset.py).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tdds/statistics/score_order.h"

namespace tdds {

// int(rate * N) in double arithmetic, as Python computes it. Throws UsageError unless 0 <= rate < 1.
std::int64_t pruned_count(double rate, std::int64_t samples);

// The pruning rate at which pruned_count leaves exactly `count` samples. Throws UsageError unless 1 <= count
// <= samples.
double rate_keeping(std::int64_t count, std::int64_t samples);

// The end of `ids` (in the order of ascending scores) that remains after pruning.
std::vector<std::int64_t> kept_ids(std::span<const std::int64_t> ids, double rate);

// `count` different ids of 0 .. samples - 1, ascending. A function of (seed, draw) alone
// (kernels/numerics/philox.h, Purpose::kSelect); another `draw` is another subset of the same seed.
std::vector<std::int64_t> random_subset(std::int64_t samples, std::int64_t count, std::uint64_t seed,
                                        std::uint32_t draw = 0);

// How many of `ids` each class has: [classes]. labels [N] by sample id.
std::vector<std::int64_t> count_by_class(std::span<const std::int64_t> ids,
                                         std::span<const std::int32_t> labels, std::int32_t classes);

// The content of the official files: a permutation of the samples with their scores, ascending.
struct Ranking {
  std::vector<std::int64_t> ids;
  std::vector<float> scores;  // of ids[i]
};
Ranking rank_by_score(std::span<const float> score);
Ranking rank_by_score(Device& device, std::span<const float> score);

// `<folder>/data_mask_<stem>.npy` int64 [N] and `<folder>/score_<stem>.npy` float32 [N]. For TDDS, the stem
// is win<J>_ep<T>, as in the official code.
struct RankingFiles {
  std::string mask, score;
};
RankingFiles ranking_files(const std::string& folder, const std::string& stem);
RankingFiles official_ranking_files(const std::string& folder, int window_size, int trajectory_len);
void write_ranking(const RankingFiles& files, const Ranking& ranking);

// Reads both files, as written here or by the official code. Throws Error unless the lengths agree, the ids
// are a permutation of 0 .. N-1 and the scores are finite and ascending.
Ranking read_ranking(const RankingFiles& files);

// The official code's weight of each sample, by id: (score - min) / (max - min). All 1 where max = min.
std::vector<float> subset_weights(const Ranking& ranking);

// Throws Error with `source` and the first wrong ids unless `ids` is a permutation of 0 .. N-1.
void check_permutation(std::span<const std::int64_t> ids, const std::string& source);

}  // namespace tdds
