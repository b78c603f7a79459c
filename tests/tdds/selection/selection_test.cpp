#include "tdds/selection/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/io/npy.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using Ids = std::vector<std::int64_t>;

TEST(SelectionTest, OrdersByScoreThenId) {
  const std::vector<float> score{3, 1, 2, 1, -5, 1};
  EXPECT_EQ(order_by_score(score), (Ids{4, 1, 3, 5, 2, 0}));
  const Ranking ranking = rank_by_score(score);
  for (const DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kSimt}) {
    const auto device = make_device(kind);
    EXPECT_EQ(rank_by_score(*device, score).ids, ranking.ids);
    EXPECT_EQ(rank_by_score(*device, score).scores, ranking.scores);
  }
  EXPECT_EQ(ranking.scores, (std::vector<float>{-5, 1, 1, 1, 2, 3}));
  EXPECT_THROW(order_by_score(std::vector<float>{1, std::nanf("")}), Error);
}

TEST(SelectionTest, CountsAsPythonDoes) {
  // int(rate * N) in Python, where 0.29 * 100 is 28.999999999999996.
  EXPECT_EQ(pruned_count(0.7, 10), 7);
  EXPECT_EQ(pruned_count(0.29, 100), 28);
  EXPECT_EQ(pruned_count(0.57, 100), 56);
  EXPECT_EQ(pruned_count(0.9, 50000), 45000);
  EXPECT_EQ(pruned_count(0.3, 50000), 15000);
  EXPECT_EQ(pruned_count(0, 50000), 0);
  EXPECT_THROW(pruned_count(1, 10), UsageError);
  EXPECT_THROW(pruned_count(-0.1, 10), UsageError);
  EXPECT_THROW(pruned_count(std::nan(""), 10), UsageError);
}

TEST(SelectionTest, KeepsTheHighestScores) {
  const Ids mask{4, 1, 3, 5, 2, 0};
  EXPECT_EQ(kept_ids(mask, 0.5), (Ids{5, 2, 0}));
  EXPECT_EQ(kept_ids(mask, 0), mask);
  EXPECT_EQ(kept_ids(mask, 0.99), (Ids{0}));
}

TEST(SelectionTest, DrawsReproducibleUniformSubsets) {
  const Ids subset = random_subset(1000, 100, 42);
  EXPECT_EQ(subset, random_subset(1000, 100, 42));
  EXPECT_NE(subset, random_subset(1000, 100, 43));
  EXPECT_NE(subset, random_subset(1000, 100, 42, 1));
  EXPECT_TRUE(std::is_sorted(subset.begin(), subset.end()));
  EXPECT_EQ(std::set<std::int64_t>(subset.begin(), subset.end()).size(), 100u);
  EXPECT_EQ(random_subset(10, 10, 1), (Ids{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_TRUE(random_subset(10, 0, 1).empty());
  EXPECT_THROW(random_subset(10, 11, 1), Error);
  std::vector<int> hits(20);
  for (std::uint32_t draw = 0; draw < 4000; ++draw)
    for (const std::int64_t id : random_subset(20, 5, 7, draw)) ++hits[static_cast<std::size_t>(id)];
  // Each is Binomial(4000, 1/4): mean 1000, deviation 27; five deviations.
  for (const int count : hits) EXPECT_NEAR(count, 1000, 137);
}

TEST(SelectionTest, CountsByClass) {
  const std::vector<std::int32_t> labels{0, 1, 1, 2, 2, 2};
  EXPECT_EQ(count_by_class(Ids{1, 2, 3, 5}, labels, 4), (Ids{0, 2, 2, 0}));
  EXPECT_THROW(count_by_class(Ids{6}, labels, 4), Error);
  EXPECT_THROW(count_by_class(Ids{5}, labels, 2), Error);
}

TEST(SelectionTest, WritesAndReadsTheOfficialFiles) {
  const test::TemporaryFolder folder;
  const RankingFiles files = official_ranking_files(folder.path(), 10, 30);
  EXPECT_EQ(files.mask, folder / "data_mask_win10_ep30.npy");
  EXPECT_EQ(files.score, folder / "score_win10_ep30.npy");
  const std::vector<float> score{0.5f, 0.25f, 1.5f, 0.25f};
  write_ranking(files, rank_by_score(score));
  EXPECT_EQ(read_npy_i64(files.mask), (Ids{1, 3, 0, 2}));
  EXPECT_EQ(read_npy_f32(files.score), (std::vector<float>{0.25f, 0.25f, 0.5f, 1.5f}));
  const Ranking ranking = read_ranking(files);
  const std::vector<float> weights = subset_weights(ranking);
  EXPECT_EQ(weights, (std::vector<float>{0.2f, 0, 1, 0}));
}

TEST(SelectionTest, EqualScoresWeighOne) {
  EXPECT_EQ(subset_weights(rank_by_score(std::vector<float>{2, 2, 2})), (std::vector<float>{1, 1, 1}));
}

TEST(SelectionTest, NamesWhatIsWrongInAMask) {
  const test::TemporaryFolder folder;
  const RankingFiles files{folder / "mask.npy", folder / "score.npy"};
  const auto said = [&](const Ids& ids, const std::vector<float>& scores) -> std::string {
    write_npy(files.mask, ids, {static_cast<std::int64_t>(ids.size())});
    write_npy(files.score, scores, {static_cast<std::int64_t>(scores.size())});
    try {
      read_ranking(files);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(said({1, 0, 2}, {1, 2, 3}), "accepted");
  EXPECT_NE(said({1, 0, 1}, {1, 2, 3}).find("mask.npy holds the sample id 1 twice and 2 not at all"),
            std::string::npos);
  EXPECT_NE(said({1, 0, 3}, {1, 2, 3}).find("sample id 3; with 3 samples"), std::string::npos);
  EXPECT_NE(said({1, 0}, {1, 2, 3}).find("lists 2 samples"), std::string::npos);
  EXPECT_NE(said({1, 0, 2}, {1, 3, 2}).find("ascending"), std::string::npos);
  EXPECT_NE(said({1, 0, 2}, {1, 2, std::nanf("")}).find("not finite"), std::string::npos);
  EXPECT_NE(said({}, {}).find("no samples"), std::string::npos);
}

}  // namespace
}  // namespace tdds
