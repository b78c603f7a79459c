// Training steps with the kernels of a GPU, executed by simt, in every type.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

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

// Bytes of the parameters and buffers that `which` accepts.
std::vector<std::byte> bytes_of(SimtRun& run, const std::function<bool(ParamKind)>& which) {
  std::vector<std::byte> all;
  const std::vector<Param>& list = run.net->params().list();
  for (int i = 0; i < static_cast<int>(list.size()); ++i) {
    if (!which(list[static_cast<std::size_t>(i)].kind)) continue;
    const std::vector<std::byte> one = run.net->params().download(*run.stream, i);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

bool is_buffer(ParamKind kind) {
  return kind == ParamKind::kRunning || kind == ParamKind::kCounter;
}
bool is_trained(ParamKind kind) {
  return !is_buffer(kind);
}

// As in PyTorch: the forward pass of a step that is skipped has updated the running statistics.
TEST(SimtStepsTest, ASkippedStepUpdatesTheRunningStatisticsAlone) {
  TrainOptions o = options_of(DType::kF16);
  o.loss_scale = 16;
  SimtRun counted(o);
  o.loss_scale = 1e30f;
  SimtRun skipped(o);
  const auto trained = bytes_of(skipped, is_trained), buffers = bytes_of(skipped, is_buffer);
  counted.trainer.step();
  skipped.trainer.step();
  EXPECT_EQ(counted.trainer.read_state().skipped, 0);
  EXPECT_EQ(skipped.trainer.read_state().skipped, 1);
  EXPECT_EQ(bytes_of(skipped, is_trained), trained);
  EXPECT_NE(bytes_of(counted, is_trained), trained);
  EXPECT_NE(bytes_of(skipped, is_buffer), buffers);
  EXPECT_EQ(bytes_of(skipped, is_buffer), bytes_of(counted, is_buffer));
}

// Activations beyond fp16 make the running statistics NaN for good. The loss of that step is then NaN too,
// since a channel's NaN reaches every logit, so the run stops before it saves anything.
TEST(SimtStepsTest, StatisticsThatAreNotFiniteStopTheRun) {
  SimtRun run(options_of(DType::kF16));
  const int first_filter = 0;
  const Param& param = run.net->params().list()[first_filter];
  ASSERT_EQ(param.kind, ParamKind::kFilter);
  const std::vector<float> huge(static_cast<std::size_t>(param.elements()), 60000.0f);
  run.net->params().upload(*run.stream, first_filter, std::as_bytes(std::span(huge)));
  run.trainer.step();
  const std::vector<std::byte> buffers = bytes_of(run, [](ParamKind k) { return k == ParamKind::kRunning; });
  bool finite = true;
  for (std::size_t at = 0; at < buffers.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, &buffers[at], sizeof(value));
    finite = finite && std::isfinite(value);
  }
  EXPECT_FALSE(finite);
  EXPECT_THAT([&] { run.trainer.read_state(); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("the loss is no longer finite")));
}

// The number of commands of a step of ResNet-18 with dynamics. A library call counts as one.
std::size_t commands_of_a_step(TrainOptions options) {
  options.record_steps = false;
  SimtRun run(options);
  run.trainer.step();
  return run.stream->record([&] { run.trainer.step(); })->commands();
}

TEST(SimtStepsTest, CommandsOfAStep) {
  EXPECT_EQ(commands_of_a_step(options_of(DType::kF16)), 145u);
}

}  // namespace
}  // namespace tdds
