#include <sys/mman.h>

#include <algorithm>
#include <limits>

#include "kernels/ops/max_pool.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class MaxPoolTest : public OpTest {
 protected:
  // B, H, W, C, window, stride, padding: a small ImageNet stem, no padding, windows that touch, leave gaps or
  // cover everything, one pixel, channels that do not fill a vector.
  std::vector<MaxPoolShape> shapes() const {
    return {{2, 12, 12, 16, 3, 2, 1, dtype()}, {1, 7, 9, 5, 3, 2, 1, dtype()},
            {2, 6, 5, 8, 2, 2, 0, dtype()},    {1, 1, 1, 3, 3, 2, 1, dtype()},
            {1, 8, 8, 1, 3, 1, 1, dtype()},    {1, 11, 10, 4, 2, 3, 1, dtype()},
            {1, 5, 5, 2, 5, 1, 2, dtype()},    {3, 4, 4, 70, 4, 4, 0, dtype()}};
  }

  struct Result {
    std::vector<float> y;
    std::vector<std::uint8_t> argmax;
  };
  Result pool(const MaxPoolShape& s, const std::vector<float>& x) {
    auto memory = upload_typed(x);
    auto y = empty_typed(s.outputs());
    auto argmax = empty<std::uint8_t>(s.outputs());
    max_pool(stream(), {memory, y, argmax, s});
    return {download(y), download(argmax)};
  }
};

std::size_t inputs(const MaxPoolShape& s) {
  return std::size_t(s.batch) * std::size_t(s.height) * std::size_t(s.width) * std::size_t(s.channels);
}

// Calls visit(out, place, in) for every output and every position inside its window, in order.
template <class Visit>
void for_each_place(const MaxPoolShape& s, const Visit& visit) {
  std::size_t out = 0;
  for (int b = 0; b < s.batch; ++b)
    for (int i = 0; i < s.out_height(); ++i)
      for (int j = 0; j < s.out_width(); ++j)
        for (int c = 0; c < s.channels; ++c, ++out)
          for (int r = 0; r < s.window; ++r)
            for (int t = 0; t < s.window; ++t) {
              const int h = i * s.stride - s.padding + r, w = j * s.stride - s.padding + t;
              if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
              const int in = ((b * s.height + h) * s.width + w) * s.channels + c;
              visit(out, r * s.window + t, static_cast<std::size_t>(in));
            }
}

std::vector<double> largest(const MaxPoolShape& s, const std::vector<double>& x) {
  std::vector<double> y(s.outputs(), -std::numeric_limits<double>::infinity());
  for_each_place(s, [&](std::size_t out, int, std::size_t in) { y[out] = std::max(y[out], x[in]); });
  return y;
}

TEST_P(MaxPoolTest, IsTheLargestOfEachWindow) {
  for (const MaxPoolShape& s : shapes()) {
    const auto x = rounded(random_values(inputs(s), 1));
    const Result result = pool(s, x);
    expect_near(result.y, largest(s, as_double(x)), 0);  // a value is copied, not computed
    for_each_place(s, [&](std::size_t out, int place, std::size_t in) {
      if (result.argmax[out] == place) {
        EXPECT_EQ(result.y[out], x[in]);
      }
    });
  }
}

// Only four different values, so that most windows contain their maximum several times.
TEST_P(MaxPoolTest, TakesTheFirstOfEqualValues) {
  for (const MaxPoolShape& s : shapes()) {
    auto x = random_values(inputs(s), 2);
    for (float& value : x) value = std::clamp(std::round(value), -1.0f, 2.0f);
    const Result result = pool(s, x);
    std::vector<int> first(s.outputs(), -1);
    for_each_place(s, [&](std::size_t out, int place, std::size_t in) {
      if (x[in] == result.y[out] && first[out] < 0) first[out] = place;
    });
    EXPECT_EQ(std::vector<int>(result.argmax.begin(), result.argmax.end()), first);
  }
}

TEST_P(MaxPoolTest, LetsNanAndInfinityThrough) {
  const MaxPoolShape s{1, 2, 4, 1, 2, 2, 0, dtype()};
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  const Result result = pool(s, {1, kNan, -kInf, -kInf, kNan, 2, -kInf, -kInf});
  EXPECT_TRUE(std::isnan(result.y[0]));
  EXPECT_EQ(result.y[1], -kInf);
  EXPECT_EQ(result.argmax, (std::vector<std::uint8_t>{1, 0}));
}

TEST_P(MaxPoolTest, GradientMatchesDifferences) {
  for (const MaxPoolShape& s : shapes()) {
    const auto x = rounded(random_values(inputs(s), 3));
    const auto dy = rounded(random_values(s.outputs(), 4));
    const Result result = pool(s, x);
    auto dy_memory = upload_typed(dy);
    auto argmax = upload(result.argmax);
    auto dx = empty_typed(inputs(s));
    max_pool_backward(stream(), {dy_memory, argmax, dx, s});
    // The definition: each dy goes to the position of its maximum. (Differences would cross ties of rounded
    // values.)
    std::vector<double> want(inputs(s));
    for_each_place(s, [&](std::size_t out, int place, std::size_t in) {
      if (result.argmax[out] == place) want[in] += dy[out];
    });
    // Up to 25 summands of about 1.
    expect_near(download(dx), want, tolerance(dtype(), 8));
    if (dtype() != DType::kF32) continue;
    const auto loss = [&](const std::vector<double>& v) { return dot(largest(s, v), dy); };
    expect_near(want, numeric_gradient(loss, as_double(x)), 1e-6);
  }
}

TEST_P(MaxPoolTest, NeedsNoArgmaxInInference) {
  const MaxPoolShape s = shapes()[0];
  const auto x = rounded(random_values(inputs(s), 5));
  auto memory = upload_typed(x);
  auto y = empty_typed(s.outputs());
  max_pool(stream(), {memory, y, nullptr, s});
  expect_near(download(y), largest(s, as_double(x)), 0);
}

// Two images of more than 2^32 values each, of which a large stride reads eight values. The rest of the
// memory is never accessed, so it is only reserved.
TEST_P(MaxPoolTest, CountsBeyond32Bits) {
  if (GetParam().device == DeviceKind::kCuda)
    GTEST_SKIP() << "a GPU cannot reserve memory without allocating it";
  const MaxPoolShape s{2, 66000, 66000, 1, 1, 65999, 0, dtype()};
  const std::size_t bytes = inputs(s) * element_size(dtype());
  void* x = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (x == MAP_FAILED) GTEST_SKIP() << "no address space of " << bytes << " bytes";
  auto* const image = static_cast<std::byte*>(x);
  const auto put = [&](std::size_t place, float value) {
    const auto store = [&](auto typed) { std::memcpy(image + place * sizeof typed, &typed, sizeof typed); };
    if (dtype() == DType::kF32) store(value);
    if (dtype() == DType::kF16) store(from_float<half_t>(value));
    if (dtype() == DType::kBf16) store(from_float<bf16_t>(value));
  };
  std::vector<float> want;
  for (std::size_t b = 0; b < 2; ++b)
    for (const std::size_t row : {0, 65999})
      for (const std::size_t column : {0, 65999}) {
        want.push_back(static_cast<float>(want.size() + 1));
        put((b * 66000 + row) * 66000 + column, want.back());
      }
  auto y = empty_typed(s.outputs());
  max_pool(stream(), {x, y, nullptr, s});
  EXPECT_EQ(download(y), want);
  munmap(x, bytes);
}

TEST_P(MaxPoolTest, RejectsInvalidArguments) {
  auto x = upload_typed({1, 2, 3, 4});
  auto argmax = upload<std::uint8_t>({0});
  const MaxPoolShape good{1, 2, 2, 1, 2, 2, 0, dtype()};
  MaxPoolShape gap = good, huge = good, none = good;
  gap.padding = 2;
  huge.window = 16;
  none.batch = 0;
  for (const MaxPoolShape& bad : {gap, huge, none}) {
    EXPECT_THROW(max_pool(stream(), {x, x, nullptr, bad}), Error);
    EXPECT_THROW(max_pool_backward(stream(), {x, argmax, x, bad}), Error);
  }
  EXPECT_THROW(max_pool(stream(), {x, nullptr, nullptr, good}), Error);
  EXPECT_THROW(max_pool_backward(stream(), {x, nullptr, x, good}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, MaxPoolTest, testing::ValuesIn(every_device_and_type()), name_of_case);

}  // namespace
}  // namespace tdds::test
