#include <algorithm>

#include "kernels/ops/batchnorm.h"
#include "kernels/ops/elementwise.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

constexpr float kEps = 1e-5f, kMomentum = 0.1f;

struct Shape {
  std::int64_t rows;
  std::int32_t channels;
  std::size_t n() const { return static_cast<std::size_t>(rows * channels); }
};

// The definition, in double.
struct Reference {
  std::vector<double> mean, variance, inv_std, y;
};

Reference reference(const Shape& s, const std::vector<double>& x, const std::vector<double>& weight,
                    const std::vector<double>& bias, const std::vector<double>& residual, bool relu) {
  const std::size_t rows = static_cast<std::size_t>(s.rows), channels = static_cast<std::size_t>(s.channels);
  Reference ref{std::vector<double>(channels), std::vector<double>(channels), std::vector<double>(channels),
                std::vector<double>(x.size())};
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t m = 0; m < rows; ++m) ref.mean[c] += x[m * channels + c] / static_cast<double>(rows);
    for (std::size_t m = 0; m < rows; ++m)
      ref.variance[c] += std::pow(x[m * channels + c] - ref.mean[c], 2) / static_cast<double>(rows);
    ref.inv_std[c] = 1 / std::sqrt(ref.variance[c] + kEps);
    for (std::size_t m = 0; m < rows; ++m) {
      const std::size_t i = m * channels + c;
      double value = (x[i] - ref.mean[c]) * ref.inv_std[c] * weight[c] + bias[c];
      if (!residual.empty()) value += residual[i];
      ref.y[i] = relu && value < 0 ? 0 : value;
    }
  }
  return ref;
}

struct Forward {
  std::vector<float> y, mean, inv_std, running_mean, running_var, bias;
  std::vector<std::uint8_t> mask;
  std::int64_t tracked;
};

struct Gradients {
  std::vector<float> dx, dresidual, dweight, dbias;
};

// Which outputs share memory with an input.
enum class Alias { kNone, kInPlace };

class BatchNormTest : public OpTest {
 protected:
  Forward forward(const Shape& s, const std::vector<float>& x, const std::vector<float>& weight,
                  const std::vector<float>& bias, const std::vector<float>& residual = {}, bool relu = false,
                  Alias alias = Alias::kNone) {
    const auto c = static_cast<std::size_t>(s.channels);
    auto x_memory = upload_typed(x), y = empty_typed(s.n());
    TypedBuffer residual_memory = residual.empty() ? TypedBuffer{} : upload_typed(residual);
    auto w = upload(weight), b = upload(bias), mean = empty<float>(c), inv_std = empty<float>(c);
    auto running_mean = upload(std::vector<float>(c, 2)), running_var = upload(std::vector<float>(c, 3));
    auto tracked = upload<std::int64_t>({41});
    auto workspace = empty<std::byte>(batchnorm_workspace_bytes(s.rows, s.channels));
    auto mask = empty<std::uint8_t>(batchnorm_mask_bytes(s.rows, s.channels, dtype()));
    auto tickets = upload(std::vector<std::uint32_t>(batchnorm_tickets(s.channels), 0));
    TypedBuffer& out = alias == Alias::kInPlace ? residual_memory : y;
    batchnorm_forward(
        stream(), {x_memory, residual_memory, w, b, running_mean, running_var, tracked, mean, inv_std, out,
                   s.rows, s.channels, kEps, kMomentum, dtype(), relu, workspace, mask, tickets});
    return {download(out),         download(mean), download(inv_std), download(running_mean),
            download(running_var), bias,           download(mask),    download(tracked)[0]};
  }

  Gradients backward(const Shape& s, const std::vector<float>& x, const std::vector<float>& weight,
                     const Forward& f, const std::vector<float>& dy, bool relu, bool residual,
                     Alias alias = Alias::kNone) {
    const auto c = static_cast<std::size_t>(s.channels);
    auto x_memory = upload_typed(x), y = upload_typed(f.y), dy_memory = upload_typed(dy);
    auto dx = empty_typed(s.n()), dresidual = empty_typed(s.n());
    auto w = upload(weight), b = upload(f.bias), mean = upload(f.mean), inv_std = upload(f.inv_std),
         dweight = empty<float>(c), dbias = empty<float>(c);
    auto mask = upload(f.mask);
    auto tickets = upload(std::vector<std::uint32_t>(batchnorm_tickets(s.channels), 0));
    auto workspace = empty<std::byte>(batchnorm_workspace_bytes(s.rows, s.channels));
    // In place, dresidual if there is one, otherwise dx, is written to the memory of dy.
    TypedBuffer& dx_out = alias == Alias::kInPlace && !residual ? dy_memory : dx;
    TypedBuffer& dresidual_out = alias == Alias::kInPlace && residual ? dy_memory : dresidual;
    batchnorm_backward(stream(),
                       {x_memory, relu ? y.data() : nullptr, dy_memory, w, b, mean, inv_std, dweight, dbias,
                        dx_out, residual ? dresidual_out.data() : nullptr, s.rows, s.channels, dtype(), relu,
                        workspace, residual ? mask.data() : nullptr, tickets});
    return {download(dx_out), residual ? download(dresidual_out) : std::vector<float>{}, download(dweight),
            download(dbias)};
  }
};

// Odd sizes, one block and several, more channels than a tile, the widths of narrow networks; 1, 99, 100, 125
// and 128 images; more tiles than a group has.
const Shape kShapes[] = {{2, 1},        {7, 3},        {130, 5},       {129, 16},
                         {1000, 64},    {51, 300},     {33, 520},      {1 * 16, 12},
                         {99 * 16, 24}, {100 * 9, 40}, {125 * 16, 20}, {128 * 64, 8}};

TEST_P(BatchNormTest, KnownValues) {
  // Channel 0: mean 2, variance 1; channel 1: mean 0, variance 16.
  const Forward f = forward({2, 2}, {1, 4, 3, -4}, {2, 1}, {0.5f, 0}, {}, true);
  const double inv0 = 1 / std::sqrt(1 + 1e-5), inv1 = 1 / std::sqrt(16 + 1e-5);
  expect_near(f.mean, std::vector<double>{2, 0}, 1e-7);
  expect_near(f.inv_std, std::vector<double>{inv0, inv1}, 1e-7);
  expect_near(f.y, std::vector<double>{0, 4 * inv1, 2 * inv0 + 0.5, 0}, tolerance(dtype(), 2.5));
  // Unbiased: 1 * 2 / (2 - 1) and 16 * 2 / (2 - 1).
  expect_near(f.running_mean, std::vector<double>{0.9 * 2 + 0.1 * 2, 0.9 * 2}, 1e-6);
  expect_near(f.running_var, std::vector<double>{0.9 * 3 + 0.1 * 2, 0.9 * 3 + 0.1 * 32}, 1e-6);
  EXPECT_EQ(f.tracked, 42);
}

TEST_P(BatchNormTest, MatchesTheDefinitionOnEveryShape) {
  for (const Shape& s : kShapes) {
    const auto channels = static_cast<std::size_t>(s.channels);
    const auto x = rounded(random_values(s.n(), 1, 0.5, 2)), residual = rounded(random_values(s.n(), 2));
    const auto weight = random_values(channels, 3, 1, 0.3), bias = random_values(channels, 4);
    for (const bool relu : {false, true})
      for (const bool add : {false, true}) {
        const std::vector<float> r = add ? residual : std::vector<float>{};
        const Forward f = forward(s, x, weight, bias, r, relu);
        const Reference want =
            reference(s, as_double(x), as_double(weight), as_double(bias), as_double(r), relu);
        const std::string what = fmt::format("[{}, {}] relu {} residual {}", s.rows, s.channels, relu, add);
        expect_near(f.mean, want.mean, 1e-6, 0, what);
        // Sums of 128 squares in fp32 keep 1e-6; merged in double.
        expect_near(f.inv_std, want.inv_std, 0, 2e-6, what);
        // |y| reaches 8 here.
        expect_near(f.y, want.y, tolerance(dtype(), 8), 0, what);
      }
  }
}

TEST_P(BatchNormTest, NoCancellationWhereTheMeanIsAHundredDeviations) {
  const Shape s{4096, 8};
  const auto x = rounded(random_values(s.n(), 5, 100, 1));
  const std::vector<float> ones(8, 1), zeros(8, 0);
  const Forward f = forward(s, x, ones, zeros);
  const Reference want = reference(s, as_double(x), as_double(ones), as_double(zeros), {}, false);
  // E[x^2] - mean^2 in fp32 would be off by 1e-3 here.
  expect_near(f.inv_std, want.inv_std, 0, 2e-6, "inv_std");
  // The mean is stored as fp32: half a unit in the last place of 100 is 4e-6.
  expect_near(f.mean, want.mean, 4e-6, 0, "mean");
  expect_near(f.y, want.y, 5e-6 + tolerance(dtype(), 5), 0, "y");
}

// Near 1e5 float32 has steps of 1/128: sums about a mean rounded to float32 must be corrected for the
// rounding.
TEST_P(BatchNormTest, NoCancellationWhereTheMeanIsAHundredThousandDeviations) {
  if (dtype() != DType::kF32) GTEST_SKIP() << "16-bit types cannot represent such values";
  const Shape s{4096, 24};
  const auto x = random_values(s.n(), 5, 1e5, 1);
  const std::vector<float> ones(24, 1), zeros(24, 0);
  const Forward f = forward(s, x, ones, zeros);
  const Reference want = reference(s, as_double(x), as_double(ones), as_double(zeros), {}, false);
  expect_near(f.inv_std, want.inv_std, 0, 2e-6, "inv_std");
  expect_near(f.mean, want.mean, 1.0 / 256, 0, "mean");  // half a step
}

TEST_P(BatchNormTest, AConstantChannelWithOneOutlierKeepsItsVariance) {
  // The outlier is the first row of a block, where a sum shifted only by the first value would lose all
  // digits.
  const Shape s{256, 1};
  std::vector<float> x(256, 1);
  x[0] = x[128] = 1000;
  const Forward f = forward(s, x, {1}, {0});
  const Reference want = reference(s, as_double(x), {1}, {0}, {}, false);
  expect_near(f.inv_std, want.inv_std, 0, 2e-6);
  const Forward constant = forward(s, std::vector<float>(256, 7), {1}, {0.25f});
  EXPECT_EQ(constant.y, std::vector<float>(256, 0.25f));
}

TEST_P(BatchNormTest, GradientsMatchDifferences) {
  const Shape s{11, 3};
  for (const bool relu : {false, true})
    for (const bool add : {false, true}) {
      const auto x = rounded(random_values(s.n(), 6, 1, 2)), dy = rounded(random_values(s.n(), 7));
      const auto residual = add ? rounded(random_values(s.n(), 8)) : std::vector<float>{};
      const auto weight = random_values(3, 9, 1, 0.3), bias = random_values(3, 10);
      const Gradients g = backward(s, x, weight, forward(s, x, weight, bias, residual, relu), dy, relu, add);
      const auto dx64 = as_double(x), dw64 = as_double(weight), db64 = as_double(bias),
                 dr64 = as_double(residual);
      const auto loss = [&](const auto& a, const auto& w, const auto& b, const auto& r) {
        return dot(reference(s, a, w, b, r, relu).y, dy);
      };
      // Gradients of size 1; those of the parameters are sums of 11 products.
      const double tol = tolerance(dtype(), 2);
      expect_near(g.dx, numeric_gradient([&](const auto& v) { return loss(v, dw64, db64, dr64); }, dx64),
                  tol);
      expect_near(g.dweight, numeric_gradient([&](const auto& v) { return loss(dx64, v, db64, dr64); }, dw64),
                  11 * tolerance(DType::kF32, 2));
      expect_near(g.dbias, numeric_gradient([&](const auto& v) { return loss(dx64, dw64, v, dr64); }, db64),
                  11 * tolerance(DType::kF32, 2));
      if (add)
        expect_near(g.dresidual,
                    numeric_gradient([&](const auto& v) { return loss(dx64, dw64, db64, v); }, dr64), tol);
    }
}

TEST_P(BatchNormTest, BackwardMatchesTheDefinitionOnEveryShape) {
  for (const Shape& s : kShapes) {
    const auto channels = static_cast<std::size_t>(s.channels);
    const auto x = rounded(random_values(s.n(), 11, 1, 2)), dy = rounded(random_values(s.n(), 12));
    const auto weight = random_values(channels, 13, 1, 0.3), bias = random_values(channels, 14);
    const Forward f = forward(s, x, weight, bias, {}, true);
    const Gradients got = backward(s, x, weight, f, dy, true, true);
    const double n = static_cast<double>(s.rows);
    for (std::size_t c = 0; c < channels; ++c) {
      double dbias = 0, dweight = 0;
      const auto g = [&](std::size_t i) { return f.y[i] > 0 ? static_cast<double>(dy[i]) : 0.0; };
      const auto xhat = [&](std::size_t i) { return (static_cast<double>(x[i]) - f.mean[c]) * f.inv_std[c]; };
      for (std::size_t i = c; i < s.n(); i += channels) {
        dbias += g(i);
        dweight += g(i) * xhat(i);
      }
      // Sums of `rows` numbers of size 1, at most 128 of them in fp32.
      const double tol = 1e-6 * std::sqrt(n) + 1e-6;
      ASSERT_NEAR(got.dbias[c], dbias, tol);
      ASSERT_NEAR(got.dweight[c], dweight, tol);
      for (std::size_t i = c; i < s.n(); i += channels) {
        const double dx = weight[c] * f.inv_std[c] * (g(i) - dbias / n - xhat(i) * dweight / n);
        ASSERT_NEAR(got.dx[i], dx, tolerance(dtype(), 2 * std::max(1.0f, f.inv_std[c]) * 5));
        ASSERT_EQ(got.dresidual[i], static_cast<float>(g(i)));
      }
    }
  }
}

TEST_P(BatchNormTest, AliasedOutputsChangeNothing) {
  const Shape s{300, 24};
  const auto x = rounded(random_values(s.n(), 15)), residual = rounded(random_values(s.n(), 16)),
             dy = rounded(random_values(s.n(), 17));
  const auto weight = random_values(24, 18), bias = random_values(24, 19);
  const Forward f = forward(s, x, weight, bias, residual, true);
  EXPECT_EQ(forward(s, x, weight, bias, residual, true, Alias::kInPlace).y, f.y);
  for (const bool add : {false, true}) {
    const Gradients apart = backward(s, x, weight, f, dy, true, add);
    const Gradients shared = backward(s, x, weight, f, dy, true, add, Alias::kInPlace);
    EXPECT_EQ(shared.dx, apart.dx);
    EXPECT_EQ(shared.dresidual, apart.dresidual);
    EXPECT_EQ(shared.dweight, apart.dweight);
  }
}

// The mask is known from the forward pass, or y is computed again: its sign must not differ.
TEST_P(BatchNormTest, EveryWayToTheMaskGivesTheSameBits) {
  for (const Shape& s : {Shape{2500, 24}, Shape{300, 9}}) {
    const auto channels = static_cast<std::size_t>(s.channels);
    const auto x = rounded(random_values(s.n(), 34)), dy = rounded(random_values(s.n(), 35));
    const auto weight = random_values(channels, 36), bias = random_values(channels, 37, 0, 1e-3);
    const Forward f = forward(s, x, weight, bias, {}, true);
    const Gradients kept = backward(s, x, weight, f, dy, true, true);
    const Gradients computed = backward(s, x, weight, f, dy, true, false);
    EXPECT_EQ(kept.dx, computed.dx);
    EXPECT_EQ(kept.dweight, computed.dweight);
    EXPECT_EQ(kept.dbias, computed.dbias);
    for (std::size_t i = 0; i < s.n(); ++i) ASSERT_EQ(kept.dresidual[i], f.y[i] > 0 ? dy[i] : 0);
  }
}

// Positive values that become 0 when they are stored have no gradient.
TEST_P(BatchNormTest, TheMaskIsOfTheRoundedValue) {
  if (dtype() != DType::kF16) GTEST_SKIP() << "only fp16 rounds such values to 0";
  const Shape s{64, 16};
  const auto x = rounded(random_values(s.n(), 38)), dy = rounded(random_values(s.n(), 39));
  const Forward f = forward(s, x, std::vector<float>(16, 1e-9f), std::vector<float>(16, 1e-8f), {}, true);
  EXPECT_EQ(f.y, std::vector<float>(s.n(), 0));
  for (const bool residual : {false, true}) {
    const Gradients g = backward(s, x, std::vector<float>(16, 1e-9f), f, dy, true, residual);
    EXPECT_EQ(g.dbias, std::vector<float>(16, 0)) << residual;
    EXPECT_EQ(g.dweight, std::vector<float>(16, 0)) << residual;
  }
}

// On a GPU the blocks end in another order each time.
TEST_P(BatchNormTest, RepeatedCallsGiveTheSameBits) {
  const Shape s{8192, 24};
  const auto x = rounded(random_values(s.n(), 40, 3)), dy = rounded(random_values(s.n(), 41));
  const auto weight = random_values(24, 42), bias = random_values(24, 43);
  const Forward first = forward(s, x, weight, bias, {}, true);
  const Gradients gradients = backward(s, x, weight, first, dy, true, false);
  for (int i = 0; i < (GetParam().device == DeviceKind::kCuda ? 50 : 1); ++i) {
    const Forward f = forward(s, x, weight, bias, {}, true);
    EXPECT_EQ(f.y, first.y);
    EXPECT_EQ(f.mean, first.mean);
    EXPECT_EQ(f.inv_std, first.inv_std);
    const Gradients g = backward(s, x, weight, f, dy, true, false);
    EXPECT_EQ(g.dx, gradients.dx);
    EXPECT_EQ(g.dweight, gradients.dweight);
    EXPECT_EQ(g.dbias, gradients.dbias);
  }
}

TEST_P(BatchNormTest, FusedEqualsBatchNormThenAddThenRelu) {
  const Shape s{100, 48};
  const auto x = rounded(random_values(s.n(), 20)), residual = rounded(random_values(s.n(), 21));
  const auto weight = random_values(48, 22), bias = random_values(48, 23);
  const Forward fused = forward(s, x, weight, bias, residual, true), plain = forward(s, x, weight, bias);
  auto sum = upload_typed(plain.y), added = upload_typed(residual);
  const auto n = static_cast<std::int64_t>(s.n());
  add(stream(), {sum, added, sum, n, dtype()});
  relu(stream(), {sum, sum, n, dtype()});
  // Separate ops round to the type twice more. In fp32 both paths do the same operations.
  expect_near(fused.y, download(sum), dtype() == DType::kF32 ? 0 : tolerance(dtype(), 3 * 6));
}

TEST_P(BatchNormTest, InferenceUsesTheRunningStatisticsAndMayWorkInPlace) {
  const Shape s{70, 10};
  const auto x = rounded(random_values(s.n(), 24)), residual = rounded(random_values(s.n(), 25));
  const auto weight = random_values(10, 26), bias = random_values(10, 27), mean = random_values(10, 28);
  std::vector<float> variance = random_values(10, 29);
  for (float& v : variance) v = v * v + 0.1f;
  std::vector<double> want(s.n());
  for (std::size_t i = 0; i < want.size(); ++i) {
    const std::size_t c = i % 10;
    want[i] = std::max(0.0, (static_cast<double>(x[i]) - mean[c]) /
                                    std::sqrt(static_cast<double>(variance[c]) + kEps) * weight[c] +
                                bias[c] + residual[i]);
  }
  auto w = upload(weight), b = upload(bias), running_mean = upload(mean), running_var = upload(variance);
  for (const int target : {0, 1, 2}) {
    auto x_memory = upload_typed(x), r_memory = upload_typed(residual), fresh = empty_typed(s.n());
    TypedBuffer& y = target == 0 ? fresh : target == 1 ? x_memory : r_memory;
    batchnorm_inference(stream(), {x_memory, r_memory, w, b, running_mean, running_var, y, s.rows, s.channels,
                                   kEps, dtype(), true});
    // |y| reaches 12: deviations of 4 over a standard deviation of 0.33.
    expect_near(download(y), want, tolerance(dtype(), 12));
  }
}

TEST_P(BatchNormTest, ThreadsDoNotChangeABit) {
  if (!is_cpu()) GTEST_SKIP() << "only the CPU uses OpenMP threads";
  const Shape s{5000, 24};
  const auto x = random_values(s.n(), 30, 3), dy = random_values(s.n(), 31);
  const auto weight = random_values(24, 32), bias = random_values(24, 33);
  const auto run = [&](int threads) {
    const ThreadCount guard(threads);
    const Forward f = forward(s, x, weight, bias, {}, true);
    return std::pair{f, backward(s, x, weight, f, dy, true, false)};
  };
  const auto [f1, g1] = run(1);
  for (const int threads : {2, 3}) {
    const auto [f, g] = run(threads);
    EXPECT_EQ(f.y, f1.y);
    EXPECT_EQ(f.mean, f1.mean);
    EXPECT_EQ(f.inv_std, f1.inv_std);
    EXPECT_EQ(g.dx, g1.dx);
    EXPECT_EQ(g.dweight, g1.dweight);
    EXPECT_EQ(g.dbias, g1.dbias);
  }
}

TEST_P(BatchNormTest, ANaNIsNotHiddenByTheRelu) {
  std::vector<float> x(64, 1);
  x[10] = NAN;
  for (const float y : forward({64, 1}, x, {1}, {0}, {}, true).y) EXPECT_TRUE(std::isnan(y));
}

TEST_P(BatchNormTest, RejectsInvalidArguments) {
  EXPECT_THROW(forward({1, 4}, {1, 2, 3, 4}, {1, 1, 1, 1}, {0, 0, 0, 0}), Error) << "one row";
  auto x = upload_typed({1, 2});
  auto c = upload<float>({1});
  auto tracked = upload<std::int64_t>({0});
  const auto tickets = upload<std::uint32_t>({0});
  BatchNormForwardArgs args{x, nullptr, c,    c,         c,       c,     tracked, c,       c,      x,
                            2, 1,       kEps, kMomentum, dtype(), false, c,       nullptr, tickets};
  EXPECT_THROW(batchnorm_forward(stream(), args), Error) << "in place";
  if (!is_cpu()) return;
  auto y = empty_typed(2);
  args.y = y;
  args.dtype = DType::kF16;
  EXPECT_THROW(batchnorm_forward(stream(), args), Error) << "fp16 on the CPU";
}

INSTANTIATE_TEST_SUITE_P(Devices, BatchNormTest, testing::ValuesIn(every_device_and_type()), name_of_case);

}  // namespace
}  // namespace tdds::test
