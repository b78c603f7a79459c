#include "nets/resnet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/pass_pool.h"
#include "kernels/planning/planning_device.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {
namespace {

std::int64_t parameters(const char* arch, int classes) {
  ResNetSpec spec;
  spec.arch = arch;
  spec.classes = classes;
  return make_resnet(spec)->params().trainable();
}

std::unique_ptr<Net> resnet18(double width) {
  ResNetSpec spec;
  spec.classes = 10;
  spec.width = width;
  return make_resnet(spec);
}

TEST(ResNetTest, ParameterCountsAreThoseOfTheOfficialModel) {
  EXPECT_EQ(parameters("resnet18", 10), 11173962);
  EXPECT_EQ(parameters("resnet18", 100), 11220132);
  EXPECT_EQ(parameters("resnet34", 100), 21328292);
  EXPECT_EQ(parameters("resnet50", 100), 23705252);
  EXPECT_EQ(parameters("resnet101", 100), 42697380);
}

TEST(ResNetTest, ForwardArithmeticMatchesTheKnownFigure) {
  EXPECT_NEAR(resnet18(1)->forward_macs(), 555.42e6, 0.01e6);
}

TEST(ResNetTest, NamesAndTheirOrderAreThoseOfTheStateDict) {
  std::vector<std::string> names;
  const auto net = resnet18(1);
  for (const Param& param : net->params().list()) names.push_back(param.name);
  const std::vector<std::string> head(names.begin(), names.begin() + 7);
  EXPECT_EQ(head, (std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean",
                                            "bn1.running_var", "bn1.num_batches_tracked",
                                            "layer1.0.conv1.weight"}));
  EXPECT_EQ(names.size(), 122u);
  EXPECT_EQ(names.back(), "fc.bias");
  EXPECT_NE(std::find(names.begin(), names.end(), "layer2.0.downsample.0.weight"), names.end());
  EXPECT_NE(std::find(names.begin(), names.end(), "layer4.0.downsample.1.num_batches_tracked"), names.end());
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

TEST(ResNetTest, UnknownArchAndBrokenWidthAreUsageErrors) {
  EXPECT_THROW(parameters("resnet19", 10), UsageError);
  EXPECT_THROW(parameters("resnet18", 1), UsageError);
  EXPECT_THROW(resnet18(0.01), UsageError);
  EXPECT_THROW(resnet18(0.3), UsageError);
  EXPECT_THROW(resnet18(-1), UsageError);
}

// The bytes that a pass reads and writes per image, counted by hand, each operand of each op once. A
// convolution moves its input and its output three times (forward, and for the gradients of data and filter).
// Batch norm moves two maps forward and three backward, and two more for a residual and its gradient. There
// the mask of its ReLU is written and read, a byte for four values. The first convolution of a block adds to
// the gradient of the block's input, which is read once more. The head moves its map, its features and its
// logits once each way.
TEST(ResNetTest, BytesOfAPassAreThoseOfItsOps) {
  const auto cpu = make_device(DeviceKind::kCpu);
  const auto bytes_of_batch = [&](std::int32_t batch) {
    PlanningDevice device(*cpu);
    const auto stream = device.make_stream(StreamMode::kImmediate);
    const auto net = resnet18(0.125);
    net->params().place(device, *stream, DType::kF32);
    PassPool pool(device, *net);
    Pass& pass = pool.add({.batch = batch});
    pool.place();
    device.work() = {};
    pass.forward(*stream);
    pass.backward(*stream);
    return device.work().bytes;
  };
  const double image = 3 * 32 * 32, stem = 8 * 32 * 32, first = stem, second = first / 2, third = second / 2,
               fourth = third / 2;
  const double convolutions =
      2 * (image + stem) + 24 * first + 6 * first + 30 * second + 30 * third + 24 * fourth;
  const double added = stem + 2 * first + 2 * second + 2 * third + fourth;
  const double norms = 5 * stem + 24 * first + 29 * (second + third + fourth);
  const double masks = 2 * 2 * (first + second + third + fourth) / 16;
  const double head = 2 * fourth + 2 * (64 + 10);
  EXPECT_EQ(bytes_of_batch(6) - bytes_of_batch(2),
            4 * sizeof(float) * (convolutions + added + norms + masks + head));
}

// Passes of different batch sizes share the arenas, and neither binding nor running allocates beyond the
// plan.
TEST(ResNetTest, PassesShareTheirMemoryAndRunningAllocatesNothing) {
  const auto device = make_device(DeviceKind::kCpu);
  const auto stream = device->make_stream();
  const auto net = resnet18(0.125);
  net->params().place(*device, *stream, DType::kF32);
  net->params().initialize(*stream, 1);
  PassPool pool(*device, *net);
  Pass& large = pool.add({.batch = 4});
  Pass& small = pool.add({.batch = 3});
  EXPECT_EQ(&large, &pool.add({.batch = 4}));
  const std::int64_t before = device->allocations();
  pool.place();
  EXPECT_EQ(device->allocations(), before + 3);
  for (Pass* pass : {&large, &small}) {
    stream->zero(pass->input().data, pass->input().bytes());
    pass->forward(*stream);
    stream->zero(pass->dlogits(), pass->input().shape[0] * 10 * sizeof(float));
    pass->backward(*stream);
  }
  stream->synchronize();
  EXPECT_EQ(device->allocations(), before + 3);
}

}  // namespace
}  // namespace tdds
