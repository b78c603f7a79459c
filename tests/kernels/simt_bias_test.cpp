// The two hand-written kernels of the linear layer (kernels/gpu/bias.h) on simt. No other test runs them
// there, because simt uses the CPU's implementation of the whole layer.

#include <fmt/format.h>

#include "kernels/gpu/bias.h"
#include "kernels/ops/run.h"
#include "tests/kernels/simt_rig.h"

namespace tdds::test {
namespace {

// One element; rows and features that divide neither a block of 256 nor a group of 32; more rows than a block
// has threads; the heads of CIFAR-100 and ImageNet.
struct BiasShape {
  std::int32_t batch, features;

  std::size_t elements() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(features);
  }
};
constexpr BiasShape kShapes[] = {{1, 1},  {3, 10},   {257, 7},   {130, 33},
                                 {9, 31}, {300, 65}, {128, 100}, {17, 1000}};

class SimtBiasTest : public testing::TestWithParam<BiasShape> {
 protected:
  std::int32_t batch() const { return GetParam().batch; }
  std::int32_t features() const { return GetParam().features; }
  std::size_t row(std::int32_t b) const {
    return static_cast<std::size_t>(b) * static_cast<std::size_t>(features());
  }

  // Means other than 0, so that the sums grow and reveal a row too many or too few.
  std::vector<float> rows() const { return random_values(GetParam().elements(), 1, 0.5); }
  std::vector<float> bias() const { return random_values(static_cast<std::size_t>(features()), 2, -3); }

  void add(Rig& rig) const {
    auto* y = rig.in(rows());
    rig.watch("y", y, GetParam().elements());
    simt::run(rig.stream(),
              AddBiasArgs{.bias = rig.in(bias()), .y = y, .batch = batch(), .features = features()});
  }
  void gradient(Rig& rig) const {
    simt::run(rig.stream(), BiasGradientArgs{.dy = rig.in(rows()),
                                             .dbias = rig.out("dbias", static_cast<std::size_t>(features())),
                                             .batch = batch(),
                                             .features = features()});
  }
};

TEST_P(SimtBiasTest, EqualBitsInEveryOrderAndFill) {
  expect_equal_bits([&](Rig& rig) { add(rig); }, "add_bias");
  expect_equal_bits([&](Rig& rig) { gradient(rig); }, "bias_gradient");
}

TEST_P(SimtBiasTest, AddsTheBiasToEveryRow) {
  const std::vector<float> before = rows(), added = bias();
  const Output y = results_of([&](Rig& rig) { add(rig); }, DeviceKind::kSimt)[0];
  ASSERT_EQ(y.count(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i)  // one addition: rounding the double gives the float
    ASSERT_EQ(y.value(i), static_cast<float>(double{before[i]} + added[i % added.size()])) << i;
}

TEST_P(SimtBiasTest, TheGradientSumsTheRows) {
  const std::vector<float> dy = rows();
  const Output dbias = results_of([&](Rig& rig) { gradient(rig); }, DeviceKind::kSimt)[0];
  ASSERT_EQ(dbias.count(), static_cast<std::size_t>(features()));
  for (std::int32_t k = 0; k < features(); ++k) {
    double sum = 0, magnitude = 0;
    for (std::int32_t b = 0; b < batch(); ++b) {
      const float value = dy[row(b) + static_cast<std::size_t>(k)];
      sum += value;
      magnitude += std::abs(value);
    }
    // 8 groups sum an eighth of the rows each, and then the groups are summed. Each rounding is of a part of
    // the magnitude.
    const int roundings = batch() / 8 + 8;
    const double bound = roundings * unit_roundoff(DType::kF32) * magnitude;
    ASSERT_NEAR(dbias.value(static_cast<std::size_t>(k)), sum, bound) << "feature " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SimtBiasTest, testing::ValuesIn(kShapes), [](const auto& shape) {
  return fmt::format("{}x{}", shape.param.batch, shape.param.features);
});

}  // namespace
}  // namespace tdds::test
