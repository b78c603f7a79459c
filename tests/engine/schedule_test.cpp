#include "engine/schedule.h"

#include <gtest/gtest.h>

namespace tdds {
namespace {

TEST(ScheduleTest, FallsFromTheFullRateToZeroAsACosine) {
  const std::vector<float> table = cosine_schedule(0.1, 100, 101);
  EXPECT_FLOAT_EQ(table[0], 0.1f);
  EXPECT_FLOAT_EQ(table[50], 0.05f);
  EXPECT_NEAR(table[100], 0.0f, 1e-9f);
}

// 50,000 samples in batches of 128 are 391 steps, but T_max counts 390.625 of them an epoch.
TEST(ScheduleTest, TouchesZeroBeforeTheEndAndRisesAgain) {
  const double t_max = full_t_max(200, 50000, 128);
  EXPECT_DOUBLE_EQ(t_max, 78125);
  const std::vector<float> table = cosine_schedule(0.1, t_max, 391 * 200);
  EXPECT_EQ(table.size(), 78200u);
  EXPECT_NEAR(table[78125], 0.0f, 1e-12f);
  EXPECT_GT(table.back(), table[78125]);
}

// In double, 50000 * (1 - 0.7) / 100 is 150.00000000000003.
TEST(ScheduleTest, SubsetCeilingIsTakenInDoubleAsPythonTakesIt) {
  EXPECT_DOUBLE_EQ(subset_t_max(1, 50000, 0.7, 100), 151);
  EXPECT_DOUBLE_EQ(subset_t_max(200, 50000, 0.9, 128), 200 * 40.0);
}

}  // namespace
}  // namespace tdds
