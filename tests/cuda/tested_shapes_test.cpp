// The convolutions that tests run on a GPU have plans, so that the first run on a GPU does not fail because
// of the tests: those of ops_test.cpp, of the goldens, of the program tests and of the demonstration.

#include <gtest/gtest.h>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/cudnn/offline_gpu.h"
#include "kernels/cuda/device.h"
#include "nets/resnet.h"
#include "tests/cuda/gpu_precisions.h"
#include "tests/cuda/library_shapes.h"
#include "tests/golden/golden.h"

namespace tdds::test {
namespace {

class TestedShapesTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (const std::string obstacle = offline_gpu_obstacle(GetParam()); !obstacle.empty())
      GTEST_SKIP() << obstacle;
    gpu_ = make_offline_gpu(GetParam());
  }
  void expect_plans(const Conv2dSpec& spec) {
    ConvPlanStore& store = static_cast<GpuDevice&>(*gpu_).conv_plans();
    for (const ConvDirection direction : kConvDirections) try {
        store.get(spec, direction);
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
  }
  void expect_plans(const ResNetSpec& spec, const GpuPrecision& precision, std::int32_t batch,
                    bool train = true) {
    try {
      make_resnet(spec)->make_pass(
          *gpu_, {.batch = batch, .compute = precision.compute, .train = train, .math = precision.math});
    } catch (const Error& error) {
      ADD_FAILURE() << precision.name << ": " << error.what();
    }
  }

  std::unique_ptr<Device> gpu_;
};

TEST_P(TestedShapesTest, SingleConvolutionsHavePlans) {
  for (const LibraryShape& shape : kLibraryShapes)
    for (const GpuPrecision& precision : kGpuPrecisions)
      expect_plans(shape.spec(precision.compute, precision.math));
}

TEST_P(TestedShapesTest, GoldenConvolutionsHavePlans) {
  struct Case {
    std::string name;
    std::int32_t stride, padding;
  };
  const Golden golden("ops");
  for (const Case& one : {Case{"conv3x3_s1", 1, 1}, Case{"conv3x3_s2", 2, 1}, Case{"conv3x3_s2_odd", 2, 1},
                          Case{"conv1x1_s1", 1, 0}, Case{"conv1x1_s2", 2, 0}, Case{"conv7x7_s2", 2, 3},
                          Case{"conv3x3_wide", 1, 1}}) {
    const auto x = golden.shape(one.name + ".x"), w = golden.shape(one.name + ".w");  // NCHW, KCRS
    const auto at = [](const std::vector<std::int64_t>& shape, int i) {
      return static_cast<std::int32_t>(shape[i]);
    };
    expect_plans({.batch = at(x, 0),
                  .height = at(x, 2),
                  .width = at(x, 3),
                  .channels = at(x, 1),
                  .out_channels = at(w, 0),
                  .filter_h = at(w, 2),
                  .filter_w = at(w, 3),
                  .stride = one.stride,
                  .padding = one.padding});
  }
}

TEST_P(TestedShapesTest, GoldenNetworksHavePlans) {
  const std::pair<ResNetSpec, std::int32_t> nets[] = {
      {{.arch = "resnet18", .classes = 10, .width = 0.125, .image_size = 32}, 4},
      {{.arch = "resnet50", .classes = 10, .width = 0.125, .image_size = 16}, 4},
      {{.arch = "resnet18", .classes = 100, .width = 1.0, .image_size = 32}, 2},
      {{.arch = "resnet18", .classes = 100, .width = 1.0, .image_size = 64, .stem = Stem::kImageNet}, 2},
      {{.arch = "resnet50", .classes = 100, .width = 1.0, .image_size = 64, .stem = Stem::kImageNet}, 4}};
  for (const auto& [spec, batch] : nets)
    for (const bool train : {true, false}) expect_plans(spec, kGpuPrecisions[0], batch, train);
}

// tests/apps/tiny_run.h has 240 images in batches of 50, and 60 for evaluation: the last batches are 40 and
// 10. The second width is that of the demonstration.
TEST_P(TestedShapesTest, NetworksOfProgramTestsHavePlans) {
  for (const double width : {0.03125, 0.25})
    for (const GpuPrecision& precision : kGpuPrecisions) {
      const ResNetSpec spec{.arch = "resnet18", .classes = 10, .width = width, .input_channels = 8};
      for (const std::int32_t batch : {50, 40, 10}) expect_plans(spec, precision, batch);
    }
}

INSTANTIATE_TEST_SUITE_P(Gpus, TestedShapesTest,
                         testing::Values("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"));

}  // namespace
}  // namespace tdds::test
