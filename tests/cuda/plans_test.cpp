// Every cuDNN plan of every network can be built from the descriptions of GPUs (kernels/cuda/cudnn/gpus),
// without a GPU. This shows that cuDNN supports the graphs, not that the kernels run.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <tuple>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/cudnn/offline_gpu.h"
#include "kernels/cuda/device.h"
#include "kernels/ops/conv2d.h"
#include "nets/resnet.h"
#include "tests/cuda/gpu_precisions.h"
#include "tests/cuda/library_shapes.h"

namespace tdds {
namespace {

using test::GpuPrecision;
using test::kGpuPrecisions;
using test::kResNet18;

std::string properties_of(const std::string& gpu) {
  return offline_gpu_properties(gpu);
}

// The official batch sizes for the full set and for subsets, and the last batch of 50,000 samples at 128.
constexpr std::int32_t kBatches[] = {100, 128, 80};

class NetworkPlansTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (const std::string obstacle = offline_gpu_obstacle(GetParam()); !obstacle.empty())
      GTEST_SKIP() << obstacle;
  }
};

TEST_P(NetworkPlansTest, BuildsPlansOfEveryNetwork) {
  const auto begin = std::chrono::steady_clock::now();
  const std::unique_ptr<Device> gpu = make_offline_gpu(GetParam());
  int passes = 0;
  for (const std::string& arch : resnet_names())
    for (const GpuPrecision& precision : kGpuPrecisions)
      for (const std::int32_t batch : kBatches) {
        const std::unique_ptr<Net> net = make_resnet({.arch = arch, .input_channels = 8});
        try {
          const auto pass =
              net->make_pass(*gpu, {.batch = batch, .compute = precision.compute, .math = precision.math});
          ++passes;
          if (arch == "resnet18" && batch == 128)
            std::cout << GetParam() << " " << arch << " " << precision.name << " batch " << batch << "\n"
                      << to_string(pass->plans());
        } catch (const Error& error) {
          ADD_FAILURE() << GetParam() << " " << arch << " " << precision.name << ": " << error.what();
        }
      }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::cout << GetParam() << ": the plans of " << passes << " passes in " << seconds.count() << " s\n";
  EXPECT_EQ(passes,
            static_cast<int>(resnet_names().size() * std::size(kGpuPrecisions) * std::size(kBatches)));
}
INSTANTIATE_TEST_SUITE_P(Gpus, NetworkPlansTest,
                         testing::Values("sm_80", "sm_86", "sm_89", "sm_90", "sm_100"));

const Conv2dSpec kLayer{.batch = 128,
                        .height = 32,
                        .width = 32,
                        .channels = 64,
                        .out_channels = 128,
                        .filter_h = 3,
                        .filter_w = 3,
                        .stride = 2,
                        .padding = 1};

TEST(ConvPlanTest, PlansKeepToTheirPrecision) {
  const CudnnTarget target = CudnnTarget::offline(properties_of("sm_90"));
  for (const GpuPrecision& precision : kGpuPrecisions)
    for (const ConvDirection direction : kConvDirections) {
      Conv2dSpec spec = kLayer;
      spec.dtype = precision.compute;
      spec.math = precision.math;
      const std::vector<ConvPlan> plans = propose_plans(spec, direction, target, 100);
      ASSERT_FALSE(plans.empty()) << precision.name;
      for (const ConvPlan& plan : plans) {
        EXPECT_FALSE(plan.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
        EXPECT_FALSE(plan.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
        EXPECT_FALSE(plan.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION));
        if (std::string(precision.name) == "fp32") {
          EXPECT_FALSE(plan.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
        }
      }
      // For the fast types tensor cores come first; otherwise too many engines are excluded.
      if (std::string(precision.name) != "fp32") {
        EXPECT_TRUE(plans[0].has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) << precision.name;
      }
    }
}

// The convolutions of ResNet-18 at batch 128. For some of them heuristic A starts with engines that do not
// use tensor cores. Engines that copy the tensors first, as their workspace shows, do not replace these.
TEST_P(NetworkPlansTest, PrefersTensorCoresForFastTypes) {
  const CudnnTarget target = CudnnTarget::offline(properties_of(GetParam()));
  ConvPlanStore store(CudnnTarget::offline(properties_of(GetParam())), GetParam(), {}, {});
  for (const GpuPrecision& precision : kGpuPrecisions) {
    if (std::string(precision.name) == "fp32") continue;
    for (const Conv2dSpec& layer : kResNet18) {
      Conv2dSpec spec = layer;
      spec.dtype = precision.compute;
      spec.math = precision.math;
      for (const ConvDirection direction : kConvDirections) {
        const std::vector<ConvPlan> proposed = propose_plans(spec, direction, target, 8);
        ASSERT_FALSE(proposed.empty()) << conv_text(spec, direction);
        const auto fast = [&](const ConvPlan& plan) {
          return plan.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
                 plan.workspace_bytes <= std::max<std::size_t>(proposed[0].workspace_bytes, 1 << 20);
        };
        const auto taken = store.get(spec, direction);
        if (proposed[0].has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) {
          EXPECT_EQ(taken->text(), proposed[0].text()) << conv_text(spec, direction);
          continue;
        }
        EXPECT_EQ(fast(*taken), std::any_of(proposed.begin(), proposed.end(), fast))
            << conv_text(spec, direction) << ": " << taken->text();
        std::cout << GetParam() << " " << conv_text(spec, direction) << ": " << proposed[0].text() << " -> "
                  << taken->text() << "\n";
      }
    }
  }
}

// The layer for which heuristic A of cuDNN 9.19 on sm_90 starts with an engine without tensor cores.
TEST(ConvPlanTest, FirstDownsamplingOfResNet18RunsOnTensorCores) {
  ConvPlanStore store(CudnnTarget::offline(properties_of("sm_90")), "sm_90", {}, {});
  Conv2dSpec spec = test::layer(32, 64, 128, 1, 2);
  spec.dtype = DType::kF16;
  EXPECT_TRUE(store.get(spec, ConvDirection::kForward)->has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
}

TEST(ConvPlanTest, RebuildsPlansFromText) {
  const CudnnTarget target = CudnnTarget::offline(properties_of("sm_90"));
  Conv2dSpec spec = kLayer;
  spec.dtype = DType::kF16;
  for (const ConvDirection direction : kConvDirections)
    for (const ConvPlan& plan : propose_plans(spec, direction, target, 8)) {
      const ConvPlan again = rebuild_plan(spec, direction, target, ConvPlanChoice::parse(plan.choice.text()));
      EXPECT_EQ(again.choice.text(), plan.choice.text());
      EXPECT_EQ(again.text(), plan.text());
    }
}

TEST(ConvPlanTest, RejectsPlansOfAnotherPrecision) {
  const CudnnTarget target = CudnnTarget::offline(properties_of("sm_90"));
  Conv2dSpec spec = kLayer;
  spec.math = Conv2dMath::kTf32;
  const ConvPlan plan = std::move(propose_plans(spec, ConvDirection::kForward, target, 1).at(0));
  spec.math = Conv2dMath::kExact;
  EXPECT_THROW(rebuild_plan(spec, ConvDirection::kForward, target, plan.choice), Error);
}

TEST(ConvPlanChoiceTest, RejectsMalformedText) {
  for (const char* text : {"", "x", "3:", "3:1", "3:1=", "3:1=2,", "3;1=2", "3:1=2;4=5"})
    EXPECT_THROW(ConvPlanChoice::parse(text), Error) << text;
  EXPECT_EQ(ConvPlanChoice::parse("7").text(), "7");
  EXPECT_EQ(ConvPlanChoice::parse("7:2=-1,13=0").text(), "7:2=-1,13=0");
}

TEST(CudnnLayoutTest, ChannelsAreFastestInImagesAndFilters) {
  const CudnnLayout layout = channels_last(5, 8, 3, 2);  // N C H W
  EXPECT_EQ((std::vector<std::int64_t>(layout.sizes, layout.sizes + 4)),
            (std::vector<std::int64_t>{5, 8, 3, 2}));
  // Element (n,c,h,w) of NHWC is at ((n*3 + h)*2 + w)*8 + c.
  for (int n = 0; n < 5; ++n)
    for (int c = 0; c < 8; ++c)
      for (int h = 0; h < 3; ++h)
        for (int w = 0; w < 2; ++w)
          EXPECT_EQ(
              n * layout.strides[0] + c * layout.strides[1] + h * layout.strides[2] + w * layout.strides[3],
              ((n * 3 + h) * 2 + w) * 8 + c);
}

// dx = and dx += need separate plans, and the first layer needs neither.
TEST(ConvPlanTest, MakesPlansOnlyForRequestedGradients) {
  const std::unique_ptr<Device> gpu = make_offline_gpu("sm_90");
  const auto text = [&](GradientMode data, bool backward) {
    Conv2dSpec spec = kLayer;
    spec.data_gradient = data;
    spec.backward = backward;
    return make_conv2d(*gpu, spec)->description();
  };
  const auto holds = [&](const std::string& where, const char* part) {
    return where.find(part) != std::string::npos;
  };
  for (const auto& [data, written, added] :
       {std::tuple{GradientMode::kSkip, false, false}, std::tuple{GradientMode::kOverwrite, true, false},
        std::tuple{GradientMode::kAccumulate, false, true}, std::tuple{GradientMode::kBoth, true, true}}) {
    EXPECT_EQ(holds(text(data, true), "; data="), written);
    EXPECT_EQ(holds(text(data, true), "; data+="), added);
    EXPECT_TRUE(holds(text(data, true), "; filter="));
    EXPECT_EQ(text(data, false).find(';'), std::string::npos) << "an inference plan";
  }
}

TEST(OfflineGpuTest, RejectsUnsupportedOperations) {
  const std::unique_ptr<Device> gpu = make_offline_gpu("sm_90");
  EXPECT_THROW(gpu->make_stream(), Error);
  EXPECT_THROW(gpu->allocate(4, "a test"), Error);
  EXPECT_THROW(make_offline_gpu_from("nonsense", "{}", {}), Error);
  EXPECT_THROW(make_offline_gpu("sm_75"), UsageError);
  for (const std::string& name : offline_gpus()) EXPECT_GT(make_offline_gpu(name)->peak().half, 0) << name;
}

}  // namespace
}  // namespace tdds
