#include "tdds/selection/strategy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

using Ids = std::vector<std::int64_t>;

std::vector<float> ramp(std::size_t n) {
  std::vector<float> score(n);
  for (std::size_t i = 0; i < n; ++i) score[i] = static_cast<float>((i * 37) % n);
  return score;
}

void expect_valid(const Ids& ids, std::size_t count, std::int64_t samples) {
  EXPECT_EQ(ids.size(), count);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(std::set<std::int64_t>(ids.begin(), ids.end()).size(), count);
  EXPECT_TRUE(ids.empty() || (ids.front() >= 0 && ids.back() < samples));
}

TEST(StrategyTest, BalancedKeepsTheHighestOfEachClass) {
  // 60 of class 0, 30 of class 1, 10 of class 2: at a rate of 0.9 they keep 6, 3 and 1.
  std::vector<std::int32_t> labels(100, 0);
  std::fill(labels.begin() + 60, labels.begin() + 90, 1);
  std::fill(labels.begin() + 90, labels.end(), 2);
  const auto score = ramp(100);
  const Ids ids = select_balanced(score, labels, 3, 0.9);
  expect_valid(ids, 10, 100);
  EXPECT_EQ(count_by_class(ids, labels, 3), (Ids{6, 3, 1}));
  for (std::int64_t i = 0; i < 100; ++i) {
    if (std::binary_search(ids.begin(), ids.end(), i)) continue;
    for (const std::int64_t kept : ids) {
      if (labels[static_cast<std::size_t>(kept)] != labels[static_cast<std::size_t>(i)]) continue;
      EXPECT_GT(score[static_cast<std::size_t>(kept)], score[static_cast<std::size_t>(i)]);
    }
  }
  // 45 of 100: 27, 13.5 and 4.5; the total stays right.
  const Ids odd = select_balanced(score, labels, 3, 0.55);
  expect_valid(odd, 45, 100);
  EXPECT_THROW(select_balanced(score, labels, 3, 0.98), UsageError);
}

TEST(StrategyTest, BalancedKeepsOneOfEveryClass) {
  std::vector<std::int32_t> labels(100, 0);
  labels[3] = labels[50] = 1;
  labels[99] = 3;  // class 2 has no sample
  const auto score = ramp(100);
  for (const double rate : {0.5, 0.8, 0.95, 0.96}) {
    const Ids ids = select_balanced(score, labels, 4, rate);
    expect_valid(ids, 100 - static_cast<std::size_t>(pruned_count(rate, 100)), 100);
    const Ids counts = count_by_class(ids, labels, 4);
    EXPECT_GE(counts[1], 1) << rate;
    EXPECT_EQ(counts[3], 1) << rate;
  }
  EXPECT_THROW(select_balanced(score, labels, 4, 0.97), UsageError);
}

TEST(StrategyTest, CcsCoversTheRemainingStrata) {
  // Hardness = id, so beta 0.2 drops ids 80 .. 99; the scores of the others run from 0 to 79 in 4 strata of
  // 20: each gives 10 of the 40 that a rate of 0.6 keeps.
  std::vector<float> score(100), hardness(100);
  for (std::size_t i = 0; i < 100; ++i) score[i] = hardness[i] = static_cast<float>(i);
  const Ids ids = select_ccs(score, hardness, 0.6, {.beta = 0.2, .strata = 4, .seed = 1});
  expect_valid(ids, 40, 80);
  for (const int stratum : {0, 1, 2, 3}) {
    const auto in = std::count_if(ids.begin(), ids.end(), [&](std::int64_t id) {
      return std::min(static_cast<int>(static_cast<double>(id) / 19.75), 3) == stratum;
    });
    EXPECT_EQ(in, 10);
  }
  EXPECT_EQ(ids, select_ccs(score, hardness, 0.6, {.beta = 0.2, .strata = 4, .seed = 1}));
  EXPECT_NE(ids, select_ccs(score, hardness, 0.6, {.beta = 0.2, .strata = 4, .seed = 2}));
}

TEST(StrategyTest, CcsMovesTheBudgetOfAShortStratumToTheOthers) {
  // 2 scores of 1, the rest 0: strata of 2 and 98. 50 are kept: both of the small one, 48 of the other.
  std::vector<float> score(100);
  score[3] = score[77] = 1;
  const std::vector<float> hardness(100);
  const Ids ids = select_ccs(score, hardness, 0.5, {.beta = 0, .strata = 50, .seed = 3});
  expect_valid(ids, 50, 100);
  EXPECT_TRUE(std::binary_search(ids.begin(), ids.end(), 3) &&
              std::binary_search(ids.begin(), ids.end(), 77));
  expect_valid(select_ccs(hardness, hardness, 0.5, {}), 50, 100);  // one score for all
  for (const double rate : {0.3, 0.5, 0.77, 0.9})
    expect_valid(select_ccs(ramp(1000), ramp(1000), rate, {}),
                 1000 - static_cast<std::size_t>(pruned_count(rate, 1000)), 1000);
  EXPECT_THROW(select_ccs(score, hardness, 0.1, {.beta = 0.2}), UsageError);
  for (const int strata : {0, 101, 2000000000})
    EXPECT_THROW(select_ccs(score, hardness, 0.5, {.beta = 0.2, .strata = strata}), UsageError);
}

TEST(StrategyTest, BetaDrawsFollowTheirWeights) {
  // Two kinds of samples, drawn one at a time, against the density written out. Their scores make both kinds
  // about equally frequent, where any wrong exponent shows.
  MeanConfidence confidence;
  std::vector<float> score;
  for (int i = 0; i < 20; ++i) {
    const double p = i < 10 ? 0.6 : 0.9;
    confidence.p.push_back(p);
    confidence.miss.push_back(1 - p);
    score.push_back(i < 10 ? 48.0f : 0.2f);
  }
  const double rate = 0.95, c = 4;  // keeps 1; mu is the mean p of the ten highest scores: 0.6
  const double b = 15 * 0.4 * (1 - std::pow(rate, c)), a = 16 - b;
  const auto weight = [&](double p, double s) { return std::pow(p, a - 1) * std::pow(1 - p, b - 1) * s; };
  const double low = weight(0.6, 48), high = weight(0.9, 0.2);
  int hits = 0;
  constexpr int kDraws = 4000;
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    const Ids ids = select_beta(score, confidence, rate, c, seed);
    ASSERT_EQ(ids.size(), 1u);
    hits += ids[0] < 10;
  }
  const double expected = low / (low + high);
  EXPECT_NEAR(expected, 0.5, 0.05);
  // Five standard deviations of a binomial share.
  EXPECT_NEAR(hits / double{kDraws}, expected, 5 * std::sqrt(expected * (1 - expected) / kDraws));
  EXPECT_EQ(select_beta(score, confidence, 0.5, c, 1), select_beta(score, confidence, 0.5, c, 1));
}

TEST(StrategyTest, BetaDrawsWeightZeroLast) {
  MeanConfidence confidence{{0.5, 0.5, 0.5, 1.0}, {0.5, 0.5, 0.5, 0.0}};
  EXPECT_EQ(select_beta(std::vector<float>{1, 0, 1, 1}, confidence, 0.5, 4, 7), (Ids{0, 2}));
  EXPECT_THROW(select_beta(std::vector<float>{1, -1, 1, 1}, confidence, 0.5, 4, 7), Error);
  EXPECT_THROW(select_beta(std::vector<float>{1, 1, 1, 1}, confidence, 0.5, 0, 7), UsageError);
}

TEST(StrategyTest, ASelectionIsTheEndOfItsRanking) {
  const Ids kept{1, 4, 5};
  const Ranking ranking = ranking_of(kept, 7);
  EXPECT_EQ(ranking.ids, (Ids{0, 2, 3, 6, 1, 4, 5}));
  EXPECT_EQ(ranking.scores, (std::vector<float>{0, 0, 0, 0, 1, 1, 1}));
}

// The samples that remain after rounding down go to the largest remainders: 45 of 100 are 27, 13.5 and 4.5
// of 60, 30 and 10. Of equal remainders, the first class's is rounded up.
TEST(StrategyTest, BalancedRoundsByTheLargestRemainders) {
  std::vector<std::int32_t> labels(100, 0);
  std::fill(labels.begin() + 60, labels.begin() + 90, 1);
  std::fill(labels.begin() + 90, labels.end(), 2);
  const auto counts = [&](double rate) {
    return count_by_class(select_balanced(ramp(100), labels, 3, rate), labels, 3);
  };
  EXPECT_EQ(counts(0.55), (Ids{27, 14, 4}));
  EXPECT_EQ(counts(0.87), (Ids{8, 4, 1}));    // 7.8, 3.9, 1.3
  EXPECT_EQ(counts(0.43), (Ids{34, 17, 6}));  // 34.2, 17.1, 5.7
}

// Strata divide the range from the lowest score to the highest, wherever it begins.
TEST(StrategyTest, CcsStrataBeginAtTheLowestScore) {
  for (const float low : {0.0f, 1000.0f, -50.0f}) {
    std::vector<float> score(100), hardness(100);
    for (std::size_t i = 0; i < 100; ++i) score[i] = low + static_cast<float>(i);
    const Ids ids = select_ccs(score, hardness, 0.6, {.beta = 0, .strata = 4, .seed = 1});
    expect_valid(ids, 40, 100);
    for (const int stratum : {0, 1, 2, 3})
      EXPECT_EQ(std::count_if(
                    ids.begin(), ids.end(),
                    [&](std::int64_t id) { return std::min(static_cast<int>(id / 24.75), 3) == stratum; }),
                10)
          << low;
  }
}

// There can be at most as many strata as samples.
TEST(StrategyTest, CcsTakesAsManyStrataAsSamples) {
  expect_valid(select_ccs(ramp(20), ramp(20), 0.5, {.beta = 0, .strata = 20}), 10, 20);
  EXPECT_THROW(select_ccs(ramp(20), ramp(20), 0.5, {.beta = 0, .strata = 21}), UsageError);
}

}  // namespace
}  // namespace tdds
