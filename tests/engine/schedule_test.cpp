#include "engine/schedule.h"

#include <gtest/gtest.h>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

TEST(ScheduleTest, FallsFromTheFullRateToZeroAsACosine) {
  const std::vector<float> table = cosine_schedule(0.1, 100, 101);
  EXPECT_FLOAT_EQ(table[0], 0.1f);
  EXPECT_FLOAT_EQ(table[50], 0.05f);
  EXPECT_NEAR(table[100], 0.0f, 1e-9f);
}

// 50,000 samples in batches of 128 are 391 steps, but T_max counts 390.625 steps per epoch.
TEST(ScheduleTest, TouchesZeroBeforeTheEndAndRisesAgain) {
  const double t_max = full_t_max(200, 50000, 128);
  EXPECT_DOUBLE_EQ(t_max, 78125);
  const std::vector<float> table = cosine_schedule(0.1, t_max, 391 * 200);
  EXPECT_EQ(table.size(), 78200u);
  EXPECT_NEAR(table[78125], 0.0f, 1e-12f);
  EXPECT_GT(table.back(), table[78125]);
}

// In double, 50000 * (1 - 0.7) / 100 is 150.00000000000003.
TEST(ScheduleTest, SubsetCeilingIsTakenInDoubleAsInPython) {
  EXPECT_DOUBLE_EQ(subset_t_max(1, 50000, 0.7, 100), 151);
  EXPECT_DOUBLE_EQ(subset_t_max(200, 50000, 0.9, 128), 200 * 40.0);
}

TEST(ScheduleTest, WithoutWarmUpTheCosineIsTheOfficialOne) {
  EXPECT_EQ(learning_rates({}, 0.1, full_t_max(3, 1000, 64), 16, 3),
            cosine_schedule(0.1, full_t_max(3, 1000, 64), 48));
}

TEST(ScheduleTest, WarmsUpInEqualStepsAndThenAnneals) {
  const std::vector<float> table = learning_rates({.warmup_epochs = 2}, 0.4, 100, 10, 10);
  for (int t = 0; t < 20; ++t) EXPECT_FLOAT_EQ(table[t], 0.02f * static_cast<float>(t + 1)) << t;
  EXPECT_FLOAT_EQ(table[20], 0.4f);
  EXPECT_FLOAT_EQ(table[60], 0.2f);
}

// 90 epochs of ImageNet: the rate falls to a tenth every 30 epochs.
TEST(ScheduleTest, FallsInSteps) {
  const Schedule schedule{.decay = Decay::kStep, .warmup_epochs = 5};
  const std::vector<float> table = learning_rates(schedule, 0.1, 0, 4, 90);
  EXPECT_FLOAT_EQ(table[0], 0.1f / 20);
  EXPECT_FLOAT_EQ(table[20], 0.1f);
  EXPECT_FLOAT_EQ(table[119], 0.1f);
  EXPECT_FLOAT_EQ(table[120], 0.01f);
  EXPECT_FLOAT_EQ(table[240], 0.001f);
  EXPECT_FLOAT_EQ(table[359], 0.001f);
}

TEST(ScheduleTest, AFactorOfOneKeepsTheRate) {
  const Schedule schedule{.decay = Decay::kStep, .step_epochs = 1, .gamma = 1};
  EXPECT_EQ(learning_rates(schedule, 0.5, 0, 4, 3), std::vector<float>(12, 0.5f));
}

TEST(ScheduleTest, RejectsInvalidSchedules) {
  EXPECT_THROW(learning_rates({.warmup_epochs = 3}, 0.1, 30, 10, 3), UsageError);
  EXPECT_THROW(learning_rates({.warmup_epochs = -1}, 0.1, 30, 10, 3), UsageError);
  EXPECT_THROW(learning_rates({.decay = Decay::kStep, .step_epochs = 0}, 0.1, 30, 10, 3), UsageError);
  EXPECT_THROW(learning_rates({.decay = Decay::kStep, .gamma = 1.5}, 0.1, 30, 10, 3), UsageError);
  EXPECT_THROW(learning_rates({.decay = Decay::kStep, .gamma = 0}, 0.1, 30, 10, 3), UsageError);
}

// A part of an epoch is rounded to whole steps: 7.5 to 8, and 0.29 of 100 to 29, though the product is
// 28.999999999999996.
TEST(ScheduleTest, APartOfAnEpochIsRoundedToSteps) {
  const std::vector<float> table = learning_rates({.warmup_epochs = 0.75}, 0.8, 100, 10, 10);
  for (int t = 0; t < 8; ++t) EXPECT_FLOAT_EQ(table[t], 0.1f * static_cast<float>(t + 1)) << t;
  EXPECT_FLOAT_EQ(table[8], 0.8f);
  EXPECT_FLOAT_EQ(table[54], 0.4f);  // halfway between 8 and 100
  const std::vector<float> hundred = learning_rates({.warmup_epochs = 0.29}, 29, 1000, 100, 10);
  for (int t = 0; t < 29; ++t) EXPECT_FLOAT_EQ(hundred[t], static_cast<float>(t + 1)) << t;
  EXPECT_FLOAT_EQ(hundred[29], 29);
}

}  // namespace
}  // namespace tdds
