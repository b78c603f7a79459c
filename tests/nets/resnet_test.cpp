#include "nets/resnet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/pass_pool.h"
#include "kernels/check.h"
#include "kernels/device.h"

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

// Counted by hand. Bytes of a map that batch norm moves: x twice and y forward, x, y and dy twice and dx backward
// (10 in all); 2 more with a residual and its gradient, 2 less without ReLU. And a block's first convolution adds to
// the gradient of the block's input, which reads it once more.
TEST(ResNetTest, TrafficIsThatOfTheLayers) {
  const auto device = make_device(DeviceKind::kCpu);
  const auto net = resnet18(0.125);
  const Traffic two = net->make_pass(*device, {.batch = 2})->traffic(),
                six = net->make_pass(*device, {.batch = 6})->traffic();
  const double stem = 8 * 32 * 32, first = stem, second = first / 2, third = second / 2, fourth = third / 2;
  const double norms = 10 * stem + 44 * first + 52 * (second + third + fourth);
  const double added = stem + 2 * first + 2 * second + 2 * third + fourth;
  EXPECT_EQ(six.passes, 6 * sizeof(float) * (norms + added));
  EXPECT_EQ(two.passes * 3, six.passes);
  EXPECT_LT(six.floor, 3 * two.floor);  // the filters do not grow with the batch
  EXPECT_EQ(six.total(), six.floor + six.passes);
}

// Passes of other batch sizes share the arenas, and neither binding nor running allocates beyond the plan.
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
  EXPECT_EQ(device->allocations(), before + 2);
  for (Pass* pass : {&large, &small}) {
    stream->zero(pass->input().data, pass->input().bytes());
    pass->forward(*stream);
    stream->zero(pass->dlogits(), pass->input().shape[0] * 10 * sizeof(float));
    pass->backward(*stream);
  }
  stream->synchronize();
  EXPECT_EQ(device->allocations(), before + 2);
}

}  // namespace
}  // namespace tdds
