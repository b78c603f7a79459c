#include <algorithm>
#include <limits>

#include "kernels/ops/elementwise.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class ElementwiseTest : public OpTest {};

// One value, a length that is not a multiple of any vector, and more than one block of threads.
const std::size_t kLengths[] = {1, 1003, 40001};

TEST_P(ElementwiseTest, Add) {
  for (const std::size_t n : kLengths) {
    const auto a = rounded(random_values(n, 1)), b = rounded(random_values(n, 2));
    std::vector<float> want(n);
    for (std::size_t i = 0; i < n; ++i) want[i] = rounded_to(dtype(), a[i] + b[i]);
    const auto count = static_cast<std::int64_t>(n);
    for (const int target : {0, 1, 2}) {
      auto a_memory = upload_typed(a), b_memory = upload_typed(b), fresh = empty_typed(n);
      TypedBuffer& out = target == 0 ? fresh : target == 1 ? a_memory : b_memory;
      add(stream(), {a_memory, b_memory, out, count, dtype()});
      // One operation, rounded once: equal bits.
      EXPECT_EQ(download(out), want) << n << " elements, target " << target;
    }
  }
}

TEST_P(ElementwiseTest, Relu) {
  for (const std::size_t n : kLengths) {
    const auto x = rounded(random_values(n, 3));
    std::vector<float> want(n);
    for (std::size_t i = 0; i < n; ++i) want[i] = x[i] > 0 ? x[i] : 0;
    auto memory = upload_typed(x), y = empty_typed(n);
    relu(stream(), {memory, y, static_cast<std::int64_t>(n), dtype()});
    EXPECT_EQ(download(y), want);
    relu(stream(), {memory, memory, static_cast<std::int64_t>(n), dtype()});
    EXPECT_EQ(download(memory), want) << "in place";
  }
}

TEST_P(ElementwiseTest, ReluKeepsANaNAndAnInfinity) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  auto memory = upload_typed({NAN, kInf, -kInf, -1});
  relu(stream(), {memory, memory, 4, dtype()});
  const auto y = download(memory);
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], kInf);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], 0);
}

TEST_P(ElementwiseTest, ReluBackward) {
  for (const std::size_t n : kLengths) {
    auto y = rounded(random_values(n, 4));
    for (std::size_t i = 0; i < n; i += 3) y[i] = 0;
    const auto dy = rounded(random_values(n, 5));
    std::vector<float> want(n);
    for (std::size_t i = 0; i < n; ++i) want[i] = y[i] > 0 ? dy[i] : 0;
    for (const int target : {0, 1, 2}) {
      auto y_memory = upload_typed(y), dy_memory = upload_typed(dy), fresh = empty_typed(n);
      TypedBuffer& dx = target == 0 ? fresh : target == 1 ? dy_memory : y_memory;
      relu_backward(stream(), {y_memory, dy_memory, dx, static_cast<std::int64_t>(n), dtype()});
      EXPECT_EQ(download(dx), want) << n << " elements, target " << target;
    }
  }
}

TEST_P(ElementwiseTest, ReluGradientMatchesDifferences) {
  const auto x = rounded(random_values(40, 6)), r = rounded(random_values(40, 7));
  auto memory = upload_typed(x), dy = upload_typed(r);
  relu(stream(), {memory, memory, 40, dtype()});
  relu_backward(stream(), {memory, dy, dy, 40, dtype()});
  const auto loss = [&](std::vector<double> v) {
    for (double& value : v) value = std::max(value, 0.0);
    return dot(v, r);
  };
  // The op only selects; the differences are exact to 1e-9.
  expect_near(download(dy), numeric_gradient(loss, as_double(x)), 1e-8);
}

TEST_P(ElementwiseTest, AcceptsZeroElements) {
  auto memory = upload_typed({1});
  add(stream(), {memory, memory, memory, 0, dtype()});
  EXPECT_EQ(download(memory)[0], 1);
}

TEST_P(ElementwiseTest, RejectsTypesThatTheCpuLacks) {
  if (!is_cpu()) GTEST_SKIP() << "the other devices support it";
  auto memory = upload_typed({1, 2});
  EXPECT_THROW(add(stream(), {memory, memory, memory, 2, DType::kF16}), Error);
  EXPECT_THROW(relu(stream(), {memory, memory, 2, DType::kI32}), Error);
  EXPECT_THROW(relu_backward(stream(), {memory, nullptr, memory, 2, DType::kF32}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, ElementwiseTest, testing::ValuesIn(every_device_and_type()), name_of_case);

}  // namespace
}  // namespace tdds::test
