#include "kernels/planning/tracing_device.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/elementwise.h"

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
  stream_->zero(out.data(), sizeof(float) * 4);
  const auto other = real_->make_stream();
  op.run(*other);
  other->synchronize();
  EXPECT_EQ(results(), want);
  EXPECT_EQ(device_.ops().size(), 1u);
}

TEST_P(TracingDeviceTest, AConvolutionCountsItsProductsInEachDirection) {
  const Conv2dSpec spec{
      .batch = 2, .height = 4, .width = 4, .channels = 8, .out_channels = 16, .filter_h = 1, .filter_w = 1};
  const auto conv = make_conv2d(device_, spec);
  const std::size_t x = 2 * 16 * 8 * 4, w = 16 * 8 * 4, y = 2 * 16 * 16 * 4;
  const DeviceMemory mx(device_, x, "x"), mw(device_, w, "w"), my(device_, y, "y"),
      workspace(device_, conv->workspace_bytes() + 1, "workspace");
  for (const DeviceMemory* one : {&mx, &mw, &my}) stream_->zero(one->data(), one->bytes());
  conv->forward(*stream_, mx.data(), mw.data(), my.data(), workspace.data());
  conv->backward_data(*stream_, my.data(), mw.data(), mx.data(), true, workspace.data());
  conv->backward_filter(*stream_, mx.data(), my.data(), mw.data(), workspace.data());
  ASSERT_EQ(device_.ops().size(), 3u);
  for (const TracedOp& op : device_.ops()) EXPECT_EQ(op.work.conv_flops, 2.0 * 2 * 16 * 8 * 16);
  EXPECT_EQ(device_.ops()[0].work.bytes, x + w + y);
  EXPECT_EQ(device_.ops()[1].work.bytes, 2 * x + w + y);
}

TEST_P(TracingDeviceTest, FindsMemoryByItsPurpose) {
  const DeviceMemory memory(device_, 100, "tickets");
  ASSERT_NE(device_.find("tickets"), nullptr);
  EXPECT_EQ(device_.find("tickets")->memory, memory.data());
  EXPECT_EQ(device_.find("other"), nullptr);
}

}  // namespace
}  // namespace tdds
