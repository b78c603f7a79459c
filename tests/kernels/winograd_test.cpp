#include "kernels/cpu/conv/winograd.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "kernels/runtime/check.h"
#include "tests/kernels/conv2d_reference.h"

namespace tdds::cpu {
namespace {

// The transforms amplify rounding by the size of their entries: a few times the 1e-6 of direct convolution.
constexpr double kError = 5e-6;

const char* to_string(Isa isa) {
  return isa == Isa::kGeneric ? "generic" : isa == Isa::kAvx2 ? "avx2" : "avx512";
}

// Memory of the exact size, filled with NaN, so that reading memory that was not written is detected.
struct Buffer {
  explicit Buffer(std::size_t bytes)
      : memory(static_cast<float*>(std::aligned_alloc(256, round_up(std::max<std::size_t>(bytes, 1), 256))),
               std::free) {
    std::fill_n(memory.get(), bytes / sizeof(float), std::numeric_limits<float>::quiet_NaN());
  }
  std::unique_ptr<float, void (*)(void*)> memory;
};

std::vector<float> run(const Conv2dSpec& spec, Direction direction, Isa isa, const std::vector<float>& a,
                       const std::vector<float>& b, std::vector<float> out, bool accumulate = false) {
  const auto pass = winograd::make_pass(spec, direction, isa);
  const Buffer workspace(pass->workspace_bytes());
  pass->run(a.data(), b.data(), out.data(), accumulate, workspace.memory.get());
  return out;
}

test::Conv2dResult run_all(const Conv2dSpec& spec, Isa isa, const test::Conv2dData& data) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  return {run(spec, Direction::kForward, isa, data.x, data.w, std::vector<float>(data.dy.size(), nan)),
          run(spec, Direction::kBackwardData, isa, data.dy, data.w, std::vector<float>(data.x.size(), nan)),
          run(spec, Direction::kBackwardFilter, isa, data.x, data.dy, std::vector<float>(data.w.size(), nan)),
          "winograd"};
}

Conv2dSpec square(std::int32_t batch, std::int32_t size, std::int32_t channels, std::int32_t out_channels) {
  return {batch, size, size, channels, out_channels, 3, 3, 1, 1};
}

// Many channels, and more tiles than fit into one span. The maps are small to keep the reference computation
// short.
constexpr Conv2dSpec kTwoSpans{210, 2, 1, 512, 64, 3, 3, 1, 1};

class WinogradTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > isa()) GTEST_SKIP() << "this CPU has no " << to_string(GetParam());
  }
  void expect_near_reference(const Conv2dSpec& spec, unsigned seed) {
    const test::Conv2dData data = test::random_data(spec, seed);
    const test::Reference wanted = test::reference(spec, data);
    const test::Conv2dResult got = run_all(spec, GetParam(), data);
    EXPECT_LT(test::norm_error(got.y, wanted.y), kError) << test::text(spec);
    EXPECT_LT(test::norm_error(got.dx, wanted.dx), kError) << test::text(spec);
    EXPECT_LT(test::norm_error(got.dw, wanted.dw), kError) << test::text(spec);
  }
};

TEST_P(WinogradTest, AgreesWithTheDefinitionOnRandomShapes) {
  std::mt19937 generator(1);
  for (unsigned seed = 0; seed < 40; ++seed) expect_near_reference(test::random_spec(generator, 3, 1), seed);
}

TEST_P(WinogradTest, AgreesWithTheDefinitionOnEverySmallMap) {
  for (std::int32_t height = 1; height <= 9; ++height)
    for (const std::int32_t width : {1, 2, 4, 5, 7, 8})
      expect_near_reference({1, height, width, 5, 9, 3, 3, 1, 1}, height * 10 + width);
}

// More channels than one chunk of a sum, more tiles than a block or a span, partially filled panels.
TEST_P(WinogradTest, AgreesWithTheDefinitionOnLongSumsAndManyTiles) {
  expect_near_reference(square(1, 4, 300, 20), 1);
  expect_near_reference(square(1, 4, 20, 300), 2);
  expect_near_reference(square(40, 20, 8, 24), 3);
  expect_near_reference(square(3, 33, 17, 16), 4);
}

// Layers with so many channels that the transformed filters are too large for the fused schedule.
TEST_P(WinogradTest, AgreesWithTheDefinitionOnDeepLayers) {
  expect_near_reference(square(1, 5, 512, 60), 5);
  expect_near_reference(square(1, 2, 67, 500), 6);
  expect_near_reference(kTwoSpans, 7);
}

TEST_P(WinogradTest, DoesNotFlipTheFilter) {
  const Conv2dSpec spec{1, 2, 3, 1, 1, 3, 3, 1, 1};
  test::Conv2dData data{{1, 2, 3, 4, 5, 6}, std::vector<float>(9), {1, 0, 0, 0, 10, 0}};
  data.w[0] = 100;  // r = 0, s = 0
  data.w[5] = 1;    // r = 1, s = 2
  const test::Conv2dResult got = run_all(spec, GetParam(), data);
  const auto expect = [](const std::vector<float>& values, std::initializer_list<float> wanted) {
    ASSERT_EQ(values.size(), wanted.size());
    // 100 times the rounding of a few operations on values of up to 1000.
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], wanted.begin()[i], 1e-3) << i;
  };
  expect(got.y, {2, 3, 0, 5, 106, 200});
  expect(got.dx, {1000, 1, 0, 0, 0, 10});
  expect(got.dw, {10, 20, 30, 40, 51, 62, 0, 4, 5});
}

TEST_P(WinogradTest, AddsToTheDataGradient) {
  const Conv2dSpec spec = square(2, 7, 12, 10);
  const test::Conv2dData data = test::random_data(spec, 7);
  const std::vector<float> before = test::random_values(data.x.size(), 8);
  const std::vector<float> plain =
      run(spec, Direction::kBackwardData, GetParam(), data.dy, data.w, std::vector<float>(data.x.size()));
  const std::vector<float> added =
      run(spec, Direction::kBackwardData, GetParam(), data.dy, data.w, before, true);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(added[i], before[i] + plain[i]);
}

// Compares both derivatives of f = sum(y * dy) with f itself: <dy, conv(x + h u, w)> is linear in h.
TEST_P(WinogradTest, GradientsAgreeWithTheForwardPass) {
  const Conv2dSpec spec = square(2, 6, 7, 9);
  const test::Conv2dData data = test::random_data(spec, 9);
  const test::Conv2dResult got = run_all(spec, GetParam(), data);
  const auto dot = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
    return sum;
  };
  const std::vector<float> u = test::random_values(data.x.size(), 10),
                           v = test::random_values(data.w.size(), 11);
  const std::vector<float> empty(data.dy.size());
  // Sums of 648 products of size 8: 1e-3 is 2e-7 of their norms.
  EXPECT_NEAR(dot(got.dx, u), dot(run(spec, Direction::kForward, GetParam(), u, data.w, empty), data.dy),
              1e-3);
  EXPECT_NEAR(dot(got.dw, v), dot(run(spec, Direction::kForward, GetParam(), data.x, v, empty), data.dy),
              1e-3);
}

TEST_P(WinogradTest, TheNumberOfThreadsDoesNotMatter) {
  const int threads = omp_get_max_threads();
  for (const Conv2dSpec& spec : {square(9, 16, 16, 24), square(3, 4, 130, 40), square(40, 20, 8, 24),
                                 square(5, 8, 160, 200), kTwoSpans,
                                 // fewer tiles than threads: one tile and four tiles
                                 square(1, 4, 512, 500), square(1, 8, 512, 120)}) {
    const test::Conv2dData data = test::random_data(spec, 12);
    omp_set_num_threads(1);
    const test::Conv2dResult one = run_all(spec, GetParam(), data);
    for (const int count : {2, 3, 5, 16}) {
      omp_set_num_threads(count);
      const test::Conv2dResult several = run_all(spec, GetParam(), data);
      EXPECT_EQ(several.y, one.y) << count << " threads, " << test::text(spec);
      EXPECT_EQ(several.dx, one.dx) << count << " threads, " << test::text(spec);
      EXPECT_EQ(several.dw, one.dw) << count << " threads, " << test::text(spec);
    }
    omp_set_num_threads(threads);
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, WinogradTest,
                         testing::Values(Isa::kGeneric, Isa::kAvx2, Isa::kAvx512),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(WinogradSupportTest, RejectsOtherShapes) {
  const Conv2dSpec good = square(1, 4, 8, 8);
  EXPECT_TRUE(winograd::supports(good));
  for (const Conv2dSpec& bad : {Conv2dSpec{1, 4, 4, 8, 8, 3, 3, 2, 1}, Conv2dSpec{1, 4, 4, 8, 8, 1, 1, 1, 0},
                                Conv2dSpec{1, 4, 4, 8, 8, 3, 3, 1, 0}}) {
    EXPECT_FALSE(winograd::supports(bad));
    EXPECT_THROW(winograd::make_pass(bad, Direction::kForward, Isa::kGeneric), Error);
  }
}

}  // namespace
}  // namespace tdds::cpu
