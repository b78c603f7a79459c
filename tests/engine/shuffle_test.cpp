#include "engine/shuffle.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tdds {
namespace {

TEST(ShuffleTest, AShuffleIsAPermutationThatDependsOnSeedAndEpochAlone) {
  const std::vector<std::int32_t> ids = counting_ids(1000);
  const std::vector<std::int32_t> a = shuffled(ids, 42, 3);
  EXPECT_EQ(a, shuffled(ids, 42, 3));
  EXPECT_NE(a, shuffled(ids, 42, 4));
  EXPECT_NE(a, shuffled(ids, 43, 3));
  std::vector<std::int32_t> sorted = a;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, ids);
}

TEST(ShuffleTest, EveryPlaceIsReachedAboutEquallyOften) {
  const std::vector<std::int32_t> ids = counting_ids(5);
  int count[5][5] = {};
  constexpr int kDraws = 10000;
  for (int epoch = 0; epoch < kDraws; ++epoch) {
    const std::vector<std::int32_t> order = shuffled(ids, 7, epoch);
    for (int place = 0; place < 5; ++place) ++count[place][order[place]];
  }
  for (auto& row : count)
    for (int n : row)
      EXPECT_NEAR(n, kDraws / 5.0, 200);  // 5 standard deviations of sqrt(10000 * 0.2 * 0.8) = 40
}

}  // namespace
}  // namespace tdds
