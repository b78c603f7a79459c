#include "tdds/statistics/rank_correlation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

using Values = std::vector<float>;

TEST(RankCorrelationTest, EqualValuesShareTheirRank) {
  EXPECT_EQ(average_ranks(Values{3, 1, 3, 7, 3}), (std::vector<double>{2, 0, 2, 4, 2}));
  EXPECT_EQ(average_ranks(Values{5, 5}), (std::vector<double>{0.5, 0.5}));
}

TEST(RankCorrelationTest, KnownValues) {
  const Values up{1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(rank_correlation(up, Values{1, 4, 9, 16, 1e30f}), 1);
  EXPECT_DOUBLE_EQ(rank_correlation(up, Values{5, 4, 3, 2, 1}), -1);
  // Without ties 1 - 6 sum d^2 / (n (n^2 - 1)), here with d = 1, 1, 0, 1, 1.
  EXPECT_DOUBLE_EQ(rank_correlation(up, Values{2, 1, 3, 5.5f, 4}), 1 - 6.0 * (1 + 1 + 0 + 1 + 1) / 120);
  // numpy.corrcoef of the average ranks.
  EXPECT_NEAR(rank_correlation(Values{1, 2, 2, 3, 4, 4}, Values{2, 1, 3, 3, 5, 4}), 0.8508410434878082,
              1e-12);
}

TEST(RankCorrelationTest, AConstantHasNoOrder) {
  EXPECT_EQ(rank_correlation(Values{1, 1, 1}, Values{2, 2, 2}), 1);
  EXPECT_EQ(rank_correlation(Values{1, 1, 1}, Values{1, 2, 3}), 0);
  EXPECT_THROW(rank_correlation(Values{1}, Values{1, 2}), Error);
}

}  // namespace
}  // namespace tdds
