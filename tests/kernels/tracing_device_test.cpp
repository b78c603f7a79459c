#include "kernels/planning/tracing_device.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/head.h"
#include "kernels/ops/linear.h"

namespace tdds {
namespace {

class TracingDeviceTest : public testing::TestWithParam<DeviceKind> {
 protected:
  std::unique_ptr<Device> real_ = make_device(GetParam());
  TracingDevice device_{*real_};
  std::unique_ptr<Stream> stream_ = device_.make_stream(StreamMode::kImmediate);
};

INSTANTIATE_TEST_SUITE_P(Devices, TracingDeviceTest, testing::Values(DeviceKind::kCpu, DeviceKind::kSimt),
                         [](const auto& param) { return to_string(param.param); });

TEST_P(TracingDeviceTest, ACallRunsAndCanBeMadeAgainByItself) {
  const std::vector<float> x{-1, 2, -3, 4};
  const DeviceMemory in(device_, sizeof(float) * 4, "x"), out(device_, sizeof(float) * 4, "y");
  stream_->upload(in.data(), x.data(), sizeof(float) * 4);
  {
    const StreamRange range(*stream_, "layer1");
    relu(*stream_, {in.data(), out.data(), 4, DType::kF32});
  }
  const auto results = [&] {
    std::vector<float> y(4);
    stream_->download(y.data(), out.data(), sizeof(float) * 4);
    stream_->synchronize();
    return y;
  };
  const std::vector<float> want{0, 2, 0, 4};
  EXPECT_EQ(results(), want);

  ASSERT_EQ(device_.ops().size(), 1u);
  const TracedOp& op = device_.ops()[0];
  EXPECT_STREQ(op.work.name, "relu");
  EXPECT_EQ(op.work.bytes, 32);
  EXPECT_EQ(op.layer, "layer1");
  ASSERT_NE(std::any_cast<ReluArgs>(&op.work.args), nullptr);
  EXPECT_EQ(std::any_cast<ReluArgs>(op.work.args).n, 4);
  stream_->zero(out.data(), sizeof(float) * 4);
  const auto other = real_->make_stream();
  op.run(*other);
  other->synchronize();
  EXPECT_EQ(results(), want);
  EXPECT_EQ(device_.ops().size(), 1u);
}

TEST_P(TracingDeviceTest, AConvolutionCountsItsProductsInEachDirection) {
  const Conv2dSpec spec{
      .batch = 2, .height = 4, .width = 4, .channels = 8, .out_channels = 16, .filter_h = 3, .filter_w = 2};
  const auto conv = make_conv2d(device_, spec);
  const std::size_t x = 2 * 16 * 8 * 4, w = 16 * 6 * 8 * 4, y = 2 * 2 * 3 * 16 * 4;
  const DeviceMemory mx(device_, x, "x"), mw(device_, w, "w"), my(device_, y, "y"),
      workspace(device_, conv->workspace_bytes() + 1, "workspace");
  for (const DeviceMemory* one : {&mx, &mw, &my}) stream_->zero(one->data(), one->bytes());
  conv->forward(*stream_, mx.data(), mw.data(), my.data(), workspace.data());
  conv->backward_data(*stream_, my.data(), mw.data(), mx.data(), true, workspace.data());
  conv->backward_filter(*stream_, mx.data(), my.data(), mw.data(), workspace.data());
  ASSERT_EQ(device_.ops().size(), 3u);
  for (const TracedOp& op : device_.ops()) EXPECT_EQ(op.work.conv_flops, 2.0 * 2 * 2 * 3 * 16 * 6 * 8);
  const ConvDirection directions[] = {ConvDirection::kForward, ConvDirection::kDataAccumulate,
                                      ConvDirection::kFilter};
  for (int i = 0; i < 3; ++i) {
    const auto* call = std::any_cast<Conv2dCall>(&device_.ops()[i].work.args);
    ASSERT_NE(call, nullptr);
    EXPECT_EQ(call->direction, directions[i]);
    EXPECT_EQ(call->spec.out_channels, 16);
    EXPECT_TRUE(time_conv2d_plans(*real_, *call).empty()) << "a host has one plan for a shape";
  }
  EXPECT_EQ(device_.ops()[0].work.bytes, x + w + y);
  EXPECT_EQ(device_.ops()[1].work.bytes, 2 * x + w + y);
}

// 2 flops a product: one product of matrices forward, two backward.
TEST_P(TracingDeviceTest, MatrixProductsCountTheirFlops) {
  std::vector<DeviceMemory> memory;
  for (int i = 0; i < 7; ++i) {
    memory.emplace_back(device_, 1024, "an operand");
    stream_->zero(memory.back().data(), 1024);
  }
  const auto at = [&](int i) { return memory[static_cast<std::size_t>(i)].get<float>(); };
  const HeadShape head{.batch = 2, .positions = 3, .features = 5, .classes = 7, .dtype = DType::kF32};
  head_forward(*stream_, {at(0), at(1), at(2), at(3), at(4), head});
  head_backward(*stream_, {at(0), at(1), at(2), at(3), at(4), at(5), at(6), head});
  const auto linear = make_linear(device_, {.batch = 2, .in_features = 5, .out_features = 7});
  linear->forward(*stream_, at(0), at(1), at(2), at(3));
  linear->backward(*stream_, at(0), at(1), at(2), at(3), at(4), at(5));
  ASSERT_EQ(device_.ops().size(), 4u);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(device_.ops()[i].work.fp32_flops, (i % 2 == 0 ? 2 : 4) * 2 * 5 * 7)
        << device_.ops()[i].work.name;
}

TEST_P(TracingDeviceTest, FindsMemoryByItsPurpose) {
  DeviceMemory memory(device_, 100, "tickets");
  ASSERT_NE(device_.find("tickets"), nullptr);
  EXPECT_EQ(device_.find("tickets")->memory, memory.data());
  EXPECT_EQ(device_.find("other"), nullptr);
  ASSERT_EQ(device_.memory().size(), 1u);
  EXPECT_EQ(device_.memory()[0].bytes, 100u);
  memory = {};
  EXPECT_EQ(device_.find("tickets"), nullptr);
  EXPECT_TRUE(device_.memory().empty());
}

}  // namespace
}  // namespace tdds
