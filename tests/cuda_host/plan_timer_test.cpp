// The timer of convolution plans on the fake runtime: it compares the result of an own kernel with cuDNN's
// before it times it.

#include <gmock/gmock.h>

#include "kernels/cuda/cudnn/cudnn_device.h"
#include "kernels/cuda/cudnn/own_kernels.h"
#include "kernels/cuda/cudnn/plan_timer.h"
#include "kernels/numerics/half_convert.h"
#include "kernels/runtime/check.h"
#include "tests/cuda_host/cuda_host_fixture.h"

namespace tdds {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const Conv2dSpec kSpec{2, 8, 8, 64, 64, 3, 3, 1, 1, DType::kF16};
constexpr std::size_t kValues = std::size_t{2} * 8 * 8 * 64;

class PlanTimerTest : public fake::CudaHostTest {
 protected:
  ~PlanTimerTest() override {
    fake::own_forward() = nullptr;
    fake::own_data() = nullptr;
  }

  static ConvPlan own_plan() {
    return {.choice = {.own = "own 128x64", .version = 1}, .tile = Conv3x3Tile::k128x64};
  }
  // Writes a result, whose values from `first` on are those of the next places.
  static void write(void* to, std::size_t first = kValues) {
    auto* const values = static_cast<half_t*>(to);
    for (std::size_t i = 0; i < kValues; ++i)
      values[i] = from_float<half_t>(static_cast<float>((i + (i < first ? 0 : 1)) % 7) - 3);
  }
  // Adds 1 to what is there.
  static void add(void* to, float plus = 1) {
    auto* const values = static_cast<half_t*>(to);
    for (std::size_t i = 0; i < kValues; ++i) values[i] = from_float<half_t>(to_float(values[i]) + plus);
  }
};

TEST_F(PlanTimerTest, RunsAnOwnKernelWhoseResultIsCudnns) {
  CudnnDevice device(fake::kNoOps, {});
  const PlanTiming::Timer timer = make_plan_timer(device)(kSpec, ConvDirection::kForward);
  fake::cudnn().compute = [](void* const* tensors) { write(tensors[2]); };
  fake::own_forward() = [](const Conv3x3ForwardArgs& args) { write(args.y); };
  EXPECT_GE(timer(ConvPlan{}, 1), 0);
  EXPECT_GE(timer(own_plan(), 1), 0);
}

TEST_F(PlanTimerTest, RefusesAnotherResult) {
  CudnnDevice device(fake::kNoOps, {});
  const PlanTiming::Timer timer = make_plan_timer(device)(kSpec, ConvDirection::kForward);
  fake::cudnn().compute = [](void* const* tensors) { write(tensors[2]); };
  timer(ConvPlan{}, 1);
  const auto refused = ThrowsMessage<Error>(HasSubstr("its result differs from cuDNN's by "));
  // One row of one image is that of another place.
  fake::own_forward() = [](const Conv3x3ForwardArgs& args) { write(args.y, kValues - 8 * 64); };
  EXPECT_THAT([&] { timer(own_plan(), 1); }, refused);
  // It writes nothing: what cuDNN's plan wrote is no longer there.
  fake::own_forward() = nullptr;
  EXPECT_THAT([&] { timer(own_plan(), 1); }, ThrowsMessage<Error>(HasSubstr("not written everywhere")));
}

TEST_F(PlanTimerTest, AddsToEqualValuesInBoth) {
  CudnnDevice device(fake::kNoOps, {});
  const PlanTiming::Timer timer = make_plan_timer(device)(kSpec, ConvDirection::kDataAccumulate);
  fake::cudnn().compute = [](void* const* tensors) { add(tensors[0]); };
  timer(ConvPlan{}, 2);
  fake::own_data() = [](const Conv3x3DataArgs& args) {
    EXPECT_EQ(args.add, args.dx);
    add(args.dx);
  };
  EXPECT_GE(timer(own_plan(), 2), 0);
  fake::own_data() = [](const Conv3x3DataArgs& args) { add(args.dx, 1.25f); };
  EXPECT_THAT([&] { timer(own_plan(), 1); }, ThrowsMessage<Error>(HasSubstr("its result differs")));
}

TEST_F(PlanTimerTest, RefusesAnOwnKernelWithoutAResultOfCudnns) {
  CudnnDevice device(fake::kNoOps, {});
  const PlanTiming::Timer timer = make_plan_timer(device)(kSpec, ConvDirection::kForward);
  EXPECT_THAT([&] { timer(own_plan(), 1); }, ThrowsMessage<Error>(HasSubstr("no plan of cuDNN's ran")));
}

// Tiles that do not fit in the GPU's shared memory, other directions and other shapes are left out.
TEST_F(PlanTimerTest, OffersTilesThatTheGpuCanRun) {
  CudnnDevice device(fake::kNoOps, {});
  const OwnKernels own = own_kernels_on(device, false);
  Conv2dSpec wide = kSpec;
  wide.channels = wide.out_channels = 128;
  EXPECT_THAT(own.tiles(wide, ConvDirection::kForward),
              testing::UnorderedElementsAre(Conv3x3Tile::k256x64, Conv3x3Tile::k128x64));
  EXPECT_EQ(own.tiles(wide, ConvDirection::kDataAccumulate).size(), 2U);
  EXPECT_TRUE(own.tiles(wide, ConvDirection::kFilter).empty());
  wide.stride = 2;
  EXPECT_TRUE(own.tiles(wide, ConvDirection::kForward).empty());
}

}  // namespace
}  // namespace tdds
