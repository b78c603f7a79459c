#include "apps/train/checkpoint_policy.h"

#include <gtest/gtest.h>

namespace tdds {
namespace {

using std::chrono::seconds;

TEST(CheckpointPolicyTest, TheFirstEndOfAnEpochIsSaved) {
  const CheckpointPolicy::Clock::time_point start{};
  const CheckpointPolicy pace(seconds(600), start);
  EXPECT_TRUE(pace.due_at_end_of_epoch(start));
  EXPECT_FALSE(pace.due(start + seconds(599)));
  EXPECT_TRUE(pace.due(start + seconds(600)));
}

TEST(CheckpointPolicyTest, SavingTakesATwentiethOfTheTimeAtMost) {
  const CheckpointPolicy::Clock::time_point start{};
  CheckpointPolicy pace(seconds(600), start);
  pace.saved(start, start + seconds(2));
  EXPECT_FALSE(pace.due_at_end_of_epoch(start + seconds(2 + 39)));
  EXPECT_TRUE(pace.due_at_end_of_epoch(start + seconds(2 + 40)));
}

TEST(CheckpointPolicyTest, TheLongestIntervalHoldsEvenIfSavingIsSlow) {
  const CheckpointPolicy::Clock::time_point start{};
  CheckpointPolicy pace(seconds(600), start);
  pace.saved(start, start + seconds(100));
  EXPECT_FALSE(pace.due_at_end_of_epoch(start + seconds(100 + 599)));
  EXPECT_TRUE(pace.due_at_end_of_epoch(start + seconds(100 + 600)));
  EXPECT_TRUE(CheckpointPolicy(seconds(0), start).due(start));
}

}  // namespace
}  // namespace tdds
