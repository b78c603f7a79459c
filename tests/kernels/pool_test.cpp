#include "kernels/ops/pool.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class PoolTest : public OpTest {};

struct Shape {
  std::int32_t batch, positions, channels;
};

// 1x1, the last stages of the CIFAR and ImageNet networks, and odd sizes.
const Shape kShapes[] = {{1, 1, 1}, {3, 16, 512}, {2, 49, 2048}, {5, 7, 37}, {2, 1024, 16}};

std::vector<double> average(const Shape& s, const std::vector<double>& x) {
  std::vector<double> y(static_cast<std::size_t>(s.batch) * s.channels);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t image = i / (static_cast<std::size_t>(s.positions) * s.channels);
    y[image * s.channels + i % s.channels] += x[i] / s.positions;
  }
  return y;
}

TEST_P(PoolTest, IsTheAverage) {
  for (const Shape& s : kShapes) {
    const auto n = static_cast<std::size_t>(s.batch) * s.positions * s.channels;
    const auto x = rounded(random_values(n, 1, 3));
    auto memory = upload_typed(x);
    auto y = empty<float>(static_cast<std::size_t>(s.batch) * s.channels);
    global_avg_pool(stream(), {memory, y, s.batch, s.positions, s.channels, dtype()});
    // Summed in double for every type of x, and rounded to float32 once.
    expect_near(download(y), average(s, as_double(x)), 0, 1.01 * unit_roundoff(DType::kF32));
  }
}

TEST_P(PoolTest, GradientMatchesDifferences) {
  const Shape s{2, 9, 3};
  const auto x = rounded(random_values(54, 2)), dy = random_values(6, 3);
  auto dy_memory = upload(dy);
  auto dx = empty_typed(54);
  global_avg_pool_backward(stream(), {dy_memory, dx, s.batch, s.positions, s.channels, dtype()});
  const auto loss = [&](const std::vector<double>& v) { return dot(average(s, v), dy); };
  // One division; gradients below 0.3.
  expect_near(download(dx), numeric_gradient(loss, as_double(x)), tolerance(dtype(), 0.3) + 1e-9);
}

TEST_P(PoolTest, RejectsInvalidArguments) {
  auto x = upload_typed({1, 2});
  auto y = upload<float>({0, 0});
  EXPECT_THROW(global_avg_pool(stream(), {x, y, 0, 1, 2, dtype()}), Error);
  EXPECT_THROW(global_avg_pool(stream(), {x, nullptr, 1, 1, 2, dtype()}), Error);
  EXPECT_THROW(global_avg_pool_backward(stream(), {y, x, 1, 0, 2, dtype()}), Error);
  if (is_cpu()) {
    EXPECT_THROW(global_avg_pool(stream(), {x, y, 1, 1, 2, DType::kF16}), Error);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, PoolTest, testing::ValuesIn(every_device_and_type()), name_of_case);

}  // namespace
}  // namespace tdds::test
