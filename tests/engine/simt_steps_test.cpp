// Training steps with the kernels of a GPU, executed by simt, in every type.

#include <gtest/gtest.h>

#include <cmath>

#include "engine/evaluator.h"
#include "kernels/ops/step_state.h"
#include "kernels/simt/schedule.h"
#include "tests/engine/small_run.h"

namespace tdds {
namespace {

using namespace test;

TrainOptions options_of(DType dtype) {
  TrainOptions o = options(2);
  o.compute = dtype;
  o.loss_scale = dtype == DType::kF16 ? 1024 : 1;
  o.crop = Crop::kCentre;
  o.feature_norm = true;
  return o;
}

struct SimtRun : SmallRun {
  explicit SimtRun(const TrainOptions& options, StreamMode mode = StreamMode::kImmediate)
      : SmallRun(options, mode, 26, false, {}, DeviceKind::kSimt) {}
};

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBf16};

double first_batch_loss(const EpochRecord& record, std::int32_t batch) {
  double sum = 0;
  for (std::int32_t i = 0; i < batch; ++i) sum += record.values.loss[record.order[i]];
  return sum / batch;
}

TEST(SimtStepsTest, A16BitStepDiffersFromFp32ByRounding) {
  const EpochRecord fp32 = SmallRun(options_of(DType::kF32)).epoch();
  const double wanted = first_batch_loss(fp32, 8);
  for (const DType dtype : {DType::kF16, DType::kBf16}) {
    const EpochRecord got = SimtRun(options_of(dtype)).epoch();
    // Before the first update: a rounding in each of 18 layers.
    const double unit = dtype == DType::kF16 ? 0x1p-11 : 0x1p-8;
    EXPECT_NEAR(first_batch_loss(got, 8), wanted, 18 * unit * wanted) << to_string(dtype);
    EXPECT_NE(first_batch_loss(got, 8), wanted) << to_string(dtype);
  }
}

TEST(SimtStepsTest, RecordedDeferredAndEagerStepsHaveEqualBits) {
  for (const DType dtype : kTypes) {
    TrainOptions eager = options_of(dtype);
    eager.record_steps = false;
    SimtRun a(options_of(dtype)), b(eager), c(options_of(dtype), StreamMode::kDeferred);
    for (int e = 0; e < 2; ++e) {
      const EpochRecord ra = a.epoch(), rb = b.epoch(), rc = c.epoch();
      EXPECT_TRUE(std::isfinite(ra.loss));
      EXPECT_EQ(ra.values.kl, rb.values.kl) << to_string(dtype);
      EXPECT_EQ(ra.values.kl, rc.values.kl) << to_string(dtype);
      EXPECT_EQ(ra.values.feature_norm, rb.values.feature_norm) << to_string(dtype);
    }
    const auto weights = a.weights();
    EXPECT_EQ(weights, b.weights()) << to_string(dtype);
    EXPECT_EQ(weights, c.weights()) << to_string(dtype);
  }
}

TEST(SimtStepsTest, TheOrderOfBlocksAndThreadsChangesNoBit) {
  using Order = simt::Schedule::Order;
  for (const DType dtype : kTypes) {
    SimtRun forward(options_of(dtype));
    const std::vector<float> kl = (forward.epoch(), forward.epoch().values.kl);
    const auto weights = forward.weights();
    for (const simt::Schedule schedule : {simt::Schedule{Order::kReversed}, {Order::kShuffled, 7}}) {
      const simt::ScheduleScope scope(schedule);
      SimtRun other(options_of(dtype));
      EXPECT_EQ((other.epoch(), other.epoch().values.kl), kl) << to_string(dtype);
      EXPECT_EQ(other.weights(), weights) << to_string(dtype);
    }
  }
}

// The number of commands of a step of ResNet-18 with dynamics. A library call counts as one.
std::size_t commands_of_a_step(TrainOptions options) {
  options.record_steps = false;
  SimtRun run(options);
  run.trainer.step();
  return run.stream->record([&] { run.trainer.step(); })->commands();
}

TEST(SimtStepsTest, CommandsOfAStep) {
  EXPECT_EQ(commands_of_a_step(options_of(DType::kF16)), 149u);
}

}  // namespace
}  // namespace tdds
