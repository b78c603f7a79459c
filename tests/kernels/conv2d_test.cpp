#include "kernels/ops/conv2d.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include "kernels/runtime/check.h"
#include "kernels/runtime/isa.h"
#include "tests/kernels/conv2d_reference.h"

namespace tdds {
namespace {

using test::Conv2dData;
using test::Conv2dResult;

// Sums of at most 40 x 9 products of fp32 values, each rounded once or twice: about sqrt(n) ulp of 6e-8.
constexpr double kDirectError = 1e-6;

// bf16 adds the rounding of each result, at most half a unit in the last place. The sums are fp32.
double error_of(DType dtype) {
  return dtype == DType::kF32 ? kDirectError : 0x1p-8;
}

class Conv2dTest : public testing::Test {
 protected:
  const std::unique_ptr<Device> device_ = make_device(DeviceKind::kCpu);
};

class TypedConv2dTest : public Conv2dTest, public testing::WithParamInterface<DType> {
 protected:
  void SetUp() override {
    if (GetParam() == DType::kBf16 && !host_has_bf16()) GTEST_SKIP() << "this CPU has no avx512_bf16";
  }
  void expect_near_reference(Conv2dSpec spec, unsigned seed) {
    spec.algo = ConvAlgo::kDirect;
    spec.dtype = GetParam();
    const Conv2dData data = test::rounded(spec.dtype, test::random_data(spec, seed));
    const test::Reference wanted = test::reference(spec, data);
    const Conv2dResult got = test::run_conv2d(*device_, spec, data);
    const std::string where = test::text(spec) + ": " + got.description;
    EXPECT_LT(test::norm_error(got.y, wanted.y), error_of(spec.dtype)) << where;
    EXPECT_LT(test::norm_error(got.dx, wanted.dx), error_of(spec.dtype)) << where;
    EXPECT_LT(test::norm_error(got.dw, wanted.dw), error_of(spec.dtype)) << where;
  }
};

INSTANTIATE_TEST_SUITE_P(Types, TypedConv2dTest, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST_P(TypedConv2dTest, AgreesWithTheDefinitionOnRandomShapes) {
  std::mt19937 generator(1);
  unsigned seed = 0;
  for (const std::int32_t filter : {1, 3, 5, 7})
    for (const std::int32_t stride : {1, 2})
      for (int trial = 0; trial < 8; ++trial)
        expect_near_reference(test::random_spec(generator, filter, stride), ++seed);
}

TEST_P(TypedConv2dTest, AgreesWithTheDefinitionOnTheShapesOfNetworks) {
  expect_near_reference({2, 9, 9, 3, 64, 3, 3, 1, 1}, 1);    // the stem for 32x32 images
  expect_near_reference({1, 18, 18, 3, 64, 7, 7, 2, 3}, 2);  // the stem of ImageNet
  expect_near_reference({2, 8, 8, 16, 32, 3, 3, 2, 1}, 3);   // a stage's first convolution
  expect_near_reference({2, 8, 8, 16, 32, 1, 1, 2, 0}, 4);   // its projection
  expect_near_reference({3, 7, 7, 64, 16, 1, 1, 1, 0}, 5);   // a bottleneck
  expect_near_reference({3, 4, 4, 64, 64, 3, 3, 1, 1}, 6);
}

// 1x1 filters with channels that are not multiples of 8: oneDNN's sums vary there (2.6, AVX2), so the
// gradient is summed by its definition, in parts of several images if there are more than 16 images.
TEST_P(TypedConv2dTest, SumsOddFilterGradientsFromTheDefinition) {
  for (const std::int32_t batch : {1, 16, 33, 50})
    for (const auto& [in, out] : {std::pair{7, 9}, {8, 9}, {7, 16}}) {
      Conv2dSpec spec{batch, 4, 5, in, out, 1, 1, 1, 0};
      expect_near_reference(spec, 14);
      spec.algo = ConvAlgo::kDirect;
      spec.dtype = GetParam();
      const Conv2dData data = test::rounded(spec.dtype, test::random_data(spec, 15));
      EXPECT_THAT(test::run_conv2d(*device_, spec, data).description,
                  testing::HasSubstr("filter=definition"));
    }
}

// bf16 convolves narrow maps side by side: as many images as fit, one more than that, and filters of several
// sizes.
TEST_P(TypedConv2dTest, AgreesWithTheDefinitionOnManyNarrowMaps) {
  for (const std::int32_t batch : {12, 13, 33})
    for (const std::int32_t stride : {1, 2, 3}) {
      expect_near_reference({batch, 4, 4, 8, 8, 3, 3, stride, 1}, 10);
      expect_near_reference({batch, 5, 3, 7, 9, 5, 5, stride, 2}, 11);
      expect_near_reference({batch, 3, 6, 8, 8, 3, 3, stride, 0}, 12);
      expect_near_reference({batch, 4, 7, 16, 8, 1, 1, stride, 0}, 13);
    }
}

TEST_P(TypedConv2dTest, AgreesWithTheDefinitionOnTheSmallestMaps) {
  for (const std::int32_t size : {1, 2})
    for (const std::int32_t channels : {1, 8, 16, 19}) {
      expect_near_reference({1, size, size, channels, channels + 1, 3, 3, 1, 1}, 7);
      expect_near_reference({1, size, size, channels, 8, 3, 3, 2, 1}, 8);
      expect_near_reference({1, size, size, channels, channels, 1, 1, 1, 0}, 9);
    }
}

// A correlation, not a flipped convolution: for a single tap at the top left of the filter, y[p,q] =
// x[p-1,q-1] * tap.
TEST_P(TypedConv2dTest, DoesNotFlipTheFilter) {
  Conv2dSpec spec{1, 2, 3, 1, 1, 3, 3, 1, 1};
  spec.dtype = GetParam();
  Conv2dData data{{1, 2, 3, 4, 5, 6}, std::vector<float>(9), {1, 0, 0, 0, 10, 0}};
  data.w[0] = 100;  // r = 0, s = 0
  data.w[5] = 1;    // r = 1, s = 2
  const Conv2dResult got = test::run_conv2d(*device_, spec, data);
  EXPECT_EQ(got.y, (std::vector<float>{2, 3, 0, 5, 106, 200}));
  EXPECT_EQ(got.dx, (std::vector<float>{1000, 1, 0, 0, 0, 10}));
  EXPECT_EQ(got.dw, (std::vector<float>{10, 20, 30, 40, 51, 62, 0, 4, 5}));
}

// (f(v + h) - f(v - h)) / 2h is exact for a linear f except for rounding; f = sum(y * dy).
TEST_F(Conv2dTest, GradientsAgreeWithDifferences) {
  const Conv2dSpec spec{2, 5, 4, 5, 6, 3, 3, 2, 1};
  const Conv2dData data = test::random_data(spec, 3);
  const Conv2dResult got = test::run_conv2d(*device_, spec, data);
  const auto objective = [&](const Conv2dData& at) {
    const Conv2dResult run = test::run_conv2d(*device_, spec, at);
    double sum = 0;
    for (std::size_t i = 0; i < run.y.size(); ++i) sum += double{run.y[i]} * at.dy[i];
    return sum;
  };
  constexpr float kStep = 0.5F;
  const auto difference = [&](std::vector<float> Conv2dData::*field, std::size_t i) {
    Conv2dData plus = data, minus = data;
    (plus.*field)[i] += kStep;
    (minus.*field)[i] -= kStep;
    return (objective(plus) - objective(minus)) / (2 * kStep);
  };
  for (std::size_t i = 0; i < data.x.size(); i += 17)
    EXPECT_NEAR(got.dx[i], difference(&Conv2dData::x, i), 1e-4);
  for (std::size_t i = 0; i < data.w.size(); i += 23)
    EXPECT_NEAR(got.dw[i], difference(&Conv2dData::w, i), 1e-4);
}

TEST_P(TypedConv2dTest, AddsToTheDataGradientWhenAsked) {
  for (Conv2dSpec spec : {Conv2dSpec{2, 5, 5, 16, 8, 3, 3, 1, 1}, Conv2dSpec{2, 5, 5, 7, 9, 1, 1, 2, 0}}) {
    spec.dtype = GetParam();
    const Conv2dData data = test::rounded(spec.dtype, test::random_data(spec, 11));
    const std::vector<float> before =
        test::rounded(spec.dtype, {test::random_values(data.x.size(), 12), {}, {}}).x;
    std::vector<double> wanted = test::reference(spec, data).dx;
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] += before[i];
    const Conv2dResult got = test::run_conv2d(*device_, spec, data, {.add_to = before.data()});
    // Rounded before the addition and after it.
    EXPECT_LT(test::norm_error(got.dx, wanted), 2 * error_of(spec.dtype)) << test::text(spec);
  }
}

TEST_P(TypedConv2dTest, DeferredAndRecordedRunsHaveTheSameBits) {
  for (Conv2dSpec spec : {Conv2dSpec{2, 6, 6, 16, 24, 3, 3, 1, 1}, Conv2dSpec{2, 6, 6, 5, 24, 3, 3, 2, 1}}) {
    spec.dtype = GetParam();
    const Conv2dData data = test::random_data(spec, 21);
    const Conv2dResult wanted = test::run_conv2d(*device_, spec, data);
    for (const StreamMode mode : {StreamMode::kImmediate, StreamMode::kDeferred})
      for (const bool recorded : {false, true}) {
        const Conv2dResult got = test::run_conv2d(*device_, spec, data, {mode, recorded});
        EXPECT_EQ(got.y, wanted.y);
        EXPECT_EQ(got.dx, wanted.dx);
        EXPECT_EQ(got.dw, wanted.dw);
      }
  }
}

TEST_P(TypedConv2dTest, TheNumberOfThreadsDoesNotMatter) {
  const int threads = omp_get_max_threads();
  // The stem, strided convolutions, projections and a bottleneck; batches that the parts do not divide.
  // Large filters without AVX2 are the exception that onednn_conv.h names. The last is so large that
  // several threads lay its images side by side.
  for (Conv2dSpec spec :
       {Conv2dSpec{20, 16, 16, 3, 16, 3, 3, 1, 1}, Conv2dSpec{18, 16, 16, 16, 32, 3, 3, 2, 1},
        Conv2dSpec{25, 16, 16, 16, 32, 3, 3, 2, 1}, Conv2dSpec{18, 16, 16, 16, 32, 1, 1, 2, 0},
        Conv2dSpec{5, 8, 8, 64, 128, 1, 1, 2, 0}, Conv2dSpec{33, 4, 4, 40, 24, 1, 1, 1, 0},
        Conv2dSpec{3, 32, 32, 8, 64, 7, 7, 2, 3}, Conv2dSpec{50, 32, 32, 2, 4, 1, 1, 2, 0},
        Conv2dSpec{50, 16, 16, 4, 8, 1, 1, 2, 0}, Conv2dSpec{30, 8, 8, 12, 20, 1, 1, 2, 0},
        Conv2dSpec{60, 4, 4, 256, 320, 3, 3, 1, 1}}) {
    if (cpu::isa() == cpu::Isa::kGeneric && spec.channels >= 256) continue;
    spec.algo = ConvAlgo::kDirect;
    spec.dtype = GetParam();
    const Conv2dData data = test::random_data(spec, 41);
    omp_set_num_threads(1);
    const Conv2dResult one = test::run_conv2d(*device_, spec, data);
    for (const int count : {2, 3, 4}) {
      omp_set_num_threads(count);
      const Conv2dResult several = test::run_conv2d(*device_, spec, data);
      EXPECT_EQ(several.y, one.y) << count << " threads, " << test::text(spec);
      EXPECT_EQ(several.dx, one.dx) << count << " threads, " << test::text(spec);
      EXPECT_EQ(several.dw, one.dw) << count << " threads, " << test::text(spec);
    }
    omp_set_num_threads(threads);
  }
}

// simt computes bf16 in fp32 and rounds each result once.
TEST_F(Conv2dTest, SimtWidensItsOperands) {
  const auto simt = make_device(DeviceKind::kSimt);
  for (Conv2dSpec spec : {Conv2dSpec{2, 5, 5, 7, 9, 3, 3, 1, 1}, Conv2dSpec{3, 8, 8, 8, 16, 1, 1, 2, 0}}) {
    spec.dtype = DType::kBf16;
    const Conv2dData data = test::rounded(spec.dtype, test::random_data(spec, 43));
    const test::Reference wanted = test::reference(spec, data);
    const Conv2dResult got = test::run_conv2d(*simt, spec, data);
    EXPECT_LT(test::norm_error(got.y, wanted.y), error_of(spec.dtype)) << got.description;
    EXPECT_LT(test::norm_error(got.dx, wanted.dx), error_of(spec.dtype)) << got.description;
    EXPECT_LT(test::norm_error(got.dw, wanted.dw), error_of(spec.dtype)) << got.description;
  }
}

TEST_F(Conv2dTest, RunningAllocatesNothingOnTheDevice) {
  const Conv2dSpec spec{1, 4, 4, 8, 8, 3, 3, 1, 1};
  const auto plan = make_conv2d(*device_, spec);
  const auto stream = device_->make_stream();
  const DeviceMemory x(*device_, test::x_elements(spec) * 4, "x"),
      w(*device_, test::w_elements(spec) * 4, "w"), y(*device_, test::y_elements(spec) * 4, "y"),
      workspace(*device_, plan->workspace_bytes(), "workspace");
  const std::int64_t before = device_->allocations();
  plan->forward(*stream, x.data(), w.data(), y.data(), workspace.data());
  EXPECT_EQ(device_->allocations(), before);
}

TEST_F(Conv2dTest, TheAlgorithmIsChosenPerLayerOrAsAsked) {
  const auto description = [&](Conv2dSpec spec, ConvAlgo algo) {
    spec.algo = algo;
    return make_conv2d(*device_, spec)->description();
  };
  const Conv2dSpec body{1, 8, 8, 32, 32, 3, 3, 1, 1}, strided{1, 8, 8, 32, 32, 3, 3, 2, 1};
  const std::string winograd = "forward=winograd; data=winograd; filter=winograd";
  EXPECT_EQ(description(body, ConvAlgo::kWinograd), winograd);
  EXPECT_EQ(description(body, ConvAlgo::kAuto), winograd);
  EXPECT_EQ(description(body, ConvAlgo::kDirect).find("winograd"), std::string::npos);
  for (const ConvAlgo algo : {ConvAlgo::kAuto, ConvAlgo::kDirect, ConvAlgo::kWinograd})
    EXPECT_EQ(description(strided, algo).find("winograd"), std::string::npos);
}

TEST_F(Conv2dTest, AnInferencePlanHasNoBackward) {
  Conv2dSpec spec{1, 4, 4, 8, 8, 3, 3, 1, 1};
  spec.backward = false;
  const Conv2dData data = test::random_data(spec, 31);
  EXPECT_LT(test::norm_error(test::run_conv2d(*device_, spec, data).y, test::reference(spec, data).y),
            kDirectError);
  const auto plan = make_conv2d(*device_, spec);
  const auto stream = device_->make_stream();
  EXPECT_THROW(plan->backward_data(*stream, nullptr, nullptr, nullptr, false, nullptr), Error);
  EXPECT_THROW(plan->backward_filter(*stream, nullptr, nullptr, nullptr, nullptr), Error);
}

TEST_F(Conv2dTest, RejectsInvalidArguments) {
  const Conv2dSpec good{1, 4, 4, 8, 8, 3, 3, 1, 1};
  const auto refuses = [&](auto change) {
    Conv2dSpec spec = good;
    change(spec);
    EXPECT_THROW(make_conv2d(*device_, spec), Error) << test::text(spec);
  };
  refuses([](Conv2dSpec& s) { s.batch = 0; });
  refuses([](Conv2dSpec& s) { s.channels = -1; });
  refuses([](Conv2dSpec& s) { s.stride = 0; });
  refuses([](Conv2dSpec& s) { s.padding = 3; });
  refuses([](Conv2dSpec& s) { s.padding = -1; });
  refuses([](Conv2dSpec& s) { s.filter_h = 9; });
  refuses([](Conv2dSpec& s) { s.dtype = DType::kU8; });
}

}  // namespace
}  // namespace tdds
