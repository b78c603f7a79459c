#include "engine/data/class_shares.h"

#include <gtest/gtest.h>

#include <numeric>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

using Counts = std::vector<std::int64_t>;

TEST(ClassSharesTest, AreProportionalAndAddUp) {
  EXPECT_EQ(class_shares({60, 30, 10}, 10), (Counts{6, 3, 1}));
  EXPECT_EQ(class_shares({60, 30, 10}, 45),
            (Counts{27, 14, 4}));  // 13.5 and 4.5: the first one is rounded up
  EXPECT_EQ(class_shares({60, 30, 10}, 100), (Counts{60, 30, 10}));
  EXPECT_EQ(class_shares({60, 0, 10}, 0), (Counts{0, 0, 0}));
  EXPECT_THROW(class_shares({1, 2}, 4), Error);
}

TEST(ClassSharesTest, EveryClassWithSamplesGivesOneWhereThatIsPossible) {
  EXPECT_EQ(class_shares({1000, 2, 0, 1, 500}, 15), (Counts{8, 1, 0, 1, 5}));
  EXPECT_EQ(class_shares({1000, 1, 1, 1}, 4), (Counts{1, 1, 1, 1}));
  const Counts few = class_shares({1000, 1, 1, 1}, 3);
  EXPECT_EQ(std::accumulate(few.begin(), few.end(), std::int64_t{0}), 3);
  for (std::int64_t total = 0; total <= 36; ++total) {
    const Counts sizes{20, 1, 0, 3, 2, 10}, shares = class_shares(sizes, total);
    EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), std::int64_t{0}), total);
    for (std::size_t c = 0; c < sizes.size(); ++c) {
      EXPECT_LE(shares[c], sizes[c]);
      EXPECT_GE(shares[c], total >= 5 && sizes[c] > 0 ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace tdds
