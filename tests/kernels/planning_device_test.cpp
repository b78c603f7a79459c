#include "kernels/planning/planning_device.h"

#include <gtest/gtest.h>

#include <utility>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/linear.h"

namespace tdds {
namespace {

// 4099 * 4099 is odd and more than 2^24, so float32 does not hold it.
TEST(PlanningDeviceTest, CountsAreExactWhereFloat32IsNot) {
  constexpr double kSide = 4099, kElements = kSide * kSide;
  const auto real = make_device(DeviceKind::kCpu);
  PlanningDevice device(*real);
  const auto stream = device.make_stream(StreamMode::kImmediate);
  const auto counted = [&] { return std::exchange(device.work(), {}); };

  const auto conv = make_conv2d(device, {.batch = 4099,
                                         .height = 1,
                                         .width = 1,
                                         .channels = 4099,
                                         .out_channels = 4099,
                                         .filter_h = 1,
                                         .filter_w = 1});
  const auto expect = [&](const Work& work, int operands) {
    EXPECT_EQ(work.bytes, 4 * operands * kElements);
    EXPECT_EQ(work.conv_flops, 2 * kElements * kSide);
    EXPECT_EQ(work.fp32_flops, 0);
    EXPECT_EQ(work.largest, 4 * kElements);
  };
  conv->forward(*stream, nullptr, nullptr, nullptr, nullptr);
  expect(counted(), 3);
  conv->backward_data(*stream, nullptr, nullptr, nullptr, false, nullptr);
  expect(counted(), 3);
  conv->backward_data(*stream, nullptr, nullptr, nullptr, true, nullptr);
  expect(counted(), 4);
  conv->backward_filter(*stream, nullptr, nullptr, nullptr, nullptr);
  expect(counted(), 3);

  const auto linear = make_linear(device, {.batch = 4099, .in_features = 4099, .out_features = 4099});
  linear->forward(*stream, nullptr, nullptr, nullptr, nullptr);
  Work work = counted();
  EXPECT_EQ(work.bytes, 4 * (3 * kElements + kSide));
  EXPECT_EQ(work.fp32_flops, 2 * kElements * kSide);
  linear->backward(*stream, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  work = counted();
  EXPECT_EQ(work.bytes, 4 * (6 * kElements + kSide));
  EXPECT_EQ(work.fp32_flops, 4 * kElements * kSide);
}

}  // namespace
}  // namespace tdds
