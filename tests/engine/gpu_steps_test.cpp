// Training steps on a GPU have the same bits in every run, however their commands are launched.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/device_or_skip.h"
#include "tests/engine/small_run.h"

namespace tdds {
namespace {

using namespace test;

class GpuStepsTest : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override { device_or_skip(DeviceKind::kCuda); }

  struct Bits {
    std::vector<float> kl, loss;
    std::vector<std::byte> weights;
    bool operator==(const Bits&) const = default;
  };
  // Two epochs, with a short last batch in each.
  static Bits train(bool record_steps = true, const DeviceOptions& device_options = {}) {
    TrainOptions o = options(2);
    o.compute = GetParam();
    o.loss_scale = o.compute == DType::kF16 ? 1024 : 1;
    o.record_steps = record_steps;
    SmallRun run(o, StreamMode::kImmediate, 26, false, device_options, DeviceKind::kCuda);
    run.epoch();
    const EpochRecord last = run.epoch();
    EXPECT_TRUE(std::isfinite(last.loss));
    return {last.values.kl, last.values.loss, run.weights()};
  }
};

INSTANTIATE_TEST_SUITE_P(cuda, GpuStepsTest, testing::Values(DType::kF32, DType::kF16, DType::kBf16),
                         [](const auto& param) { return std::string(to_string(param.param)); });

// Without the right fences, blocks see each other's old results now and then.
TEST_P(GpuStepsTest, FiftyRunsHaveEqualBits) {
  const Bits first = train();
  for (int i = 1; i < 50; ++i) ASSERT_TRUE(train() == first) << "run " << i;
}

TEST_P(GpuStepsTest, RecordingBranchesAndDependentLaunchesChangeNoBit) {
  const Bits usual = train();
  EXPECT_TRUE(train(/*record_steps=*/false) == usual);
  EXPECT_TRUE(train(true, {.dependent_launches = false}) == usual);
  for (const bool record_steps : {false, true})
    EXPECT_TRUE(train(record_steps, {.branches = Branches::kInPlace}) == usual);
  EXPECT_TRUE(train(false, {.debug_sync = true}) == usual);
}

}  // namespace
}  // namespace tdds
