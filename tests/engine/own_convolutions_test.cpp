// Training steps whose 3x3 convolutions are the GPU's own kernels, and leave batch norm its sums, on simt.

#include <gtest/gtest.h>

#include <cmath>

#include "engine/checkpoint.h"
#include "kernels/simt/schedule.h"
#include "tests/engine/small_run.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using namespace test;

constexpr OwnConvolutions kAlways = OwnConvolutions::kAlways;

TrainOptions options_of(DType dtype, bool record_steps = true) {
  TrainOptions o = options(1);
  o.compute = dtype;
  o.loss_scale = dtype == DType::kF16 ? 1024 : 1;
  o.crop = Crop::kCentre;
  o.record_steps = record_steps;
  return o;
}

// The last two stages have 64 and 128 channels: 6 of 20 convolutions are own kernels. 18 samples are two full
// batches, of which the first is eager, and a short one.
struct OwnRun : SmallRun {
  OwnRun(const TrainOptions& options, const DeviceOptions& device_options,
         StreamMode mode = StreamMode::kImmediate)
      : SmallRun(options, mode, 18, false, device_options, DeviceKind::kSimt, 0.25) {}
};

std::size_t own_directions(const std::vector<ConvolutionPlan>& plans) {
  std::size_t own = 0;
  for (const ConvolutionPlan& plan : plans)
    for (const ServedDirection& one : plan.served) own += one.by.starts_with("own ") ? 1 : 0;
  return own;
}

class OwnConvolutionsTest : public testing::TestWithParam<DType> {};

#ifdef __SANITIZE_ADDRESS__
constexpr DType kTypes[] = {DType::kF16};  // each type takes a minute with sanitizers
#else
constexpr DType kTypes[] = {DType::kF16, DType::kBf16};
#endif
INSTANTIATE_TEST_SUITE_P(simt, OwnConvolutionsTest, testing::ValuesIn(kTypes),
                         [](const auto& param) { return std::string(to_string(param.param)); });

TEST_P(OwnConvolutionsTest, EagerRecordedDeferredAndBranchedStepsHaveEqualBits) {
  OwnRun eager(options_of(GetParam(), false), {.own_convolutions = kAlways});
  const std::vector<float> loss = eager.epoch().values.loss;
  EXPECT_TRUE(std::isfinite(loss[0]));
  const auto expect_equal = [&](OwnRun&& run, const char* what) {
    EXPECT_EQ(run.epoch().values.loss, loss) << what;
    EXPECT_EQ(run.weights(), eager.weights()) << what;
  };
  expect_equal(OwnRun(options_of(GetParam()), {.own_convolutions = kAlways}), "recorded");
  expect_equal(OwnRun(options_of(GetParam()), {.own_convolutions = kAlways}, StreamMode::kDeferred),
               "deferred");
  expect_equal(OwnRun(options_of(GetParam()), {.own_convolutions = kAlways, .branches = Branches::kAtJoin}),
               "filter gradients as late as possible");
  expect_equal(OwnRun(options_of(GetParam()), {.own_convolutions = kAlways, .branches = Branches::kAtFork}),
               "filter gradients at once");
  const simt::ScheduleScope scope({simt::Schedule::Order::kShuffled, 9});
  expect_equal(OwnRun(options_of(GetParam()), {.own_convolutions = kAlways}), "in another order");
}

// The first loss is that of the same weights: it differs by the order of sums, and by roundings that flip.
TEST_P(OwnConvolutionsTest, TheFirstLossIsThatOfOtherConvolutions) {
  OwnRun own(options_of(GetParam()), {.own_convolutions = kAlways}), other(options_of(GetParam()), {});
  EXPECT_EQ(own_directions(own.trainer.plans()), 12u);
  EXPECT_EQ(own_directions(other.trainer.plans()), 0u);
  const double unit = GetParam() == DType::kF16 ? 0x1p-11 : 0x1p-8;
  const EpochRecord a = own.epoch(), b = other.epoch();
  for (int i = 0; i < 8; ++i) {
    const auto id = static_cast<std::size_t>(a.order[static_cast<std::size_t>(i)]);
    EXPECT_NEAR(a.values.loss[id], b.values.loss[id], 18 * unit * b.values.loss[id]) << id;
  }
  EXPECT_NE(own.weights(), other.weights()) << "the test shows nothing";
}

// Stopped in the middle of the second epoch. The plans of a resumed run are those of the run that began
// (tests/cuda/own_plans_test.cpp): another version of the kernels is refused.
TEST(OwnConvolutionsResumeTest, AResumedRunEndsWithTheBitsOfAWholeOne) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  TrainOptions o = options_of(DType::kF16);
  o.epochs = 2;
  OwnRun whole(o, {.own_convolutions = kAlways}), resumed(o, {.own_convolutions = kAlways});
  whole.epoch();
  whole.trainer.step();
  whole.trainer.read_state();
  save_checkpoint(path, *whole.stream, whole.net->params(), whole.trainer, {});
  load_checkpoint(path, *resumed.stream, resumed.net->params(), resumed.trainer);
  EXPECT_EQ(resumed.trainer.epoch(), 1);
  EXPECT_EQ(resumed.trainer.cursor(), 8);
  const EpochRecord a = whole.epoch(), b = resumed.epoch();
  EXPECT_EQ(a.values.loss, b.values.loss);
  EXPECT_EQ(a.values.kl, b.values.kl);
  EXPECT_EQ(a.order, b.order);
  EXPECT_EQ(whole.weights(), resumed.weights());
  EXPECT_EQ(own_directions(resumed.trainer.plans()), 12u);
}

// A step of the whole ResNet-18. Before batch norm had two kernels in each direction it had 211 launches.
TEST(OwnConvolutionsStepTest, HasFewerCommands) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a step of full width takes a minute with sanitizers";
#endif
  const auto commands = [](OwnConvolutions use) {
    TrainOptions eager = options_of(DType::kF16, false);
    eager.batch = 2;
    SmallRun run(eager, StreamMode::kImmediate, 4, false, {.own_convolutions = use}, DeviceKind::kSimt, 1.0);
    run.trainer.step();
    return run.stream->record([&] { run.trainer.step(); })->commands();
  };
  EXPECT_EQ(commands(OwnConvolutions::kNever), 145u);
  // 13 convolutions leave the moments, and 13 data gradients the sums.
  const std::size_t own = commands(kAlways);
  EXPECT_EQ(own, 145u - 26u);
  EXPECT_LE(own, 0.65 * 211);
}

}  // namespace
}  // namespace tdds
