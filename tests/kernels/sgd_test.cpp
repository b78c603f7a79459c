#include "kernels/ops/sgd.h"

#include <limits>

#include "kernels/ops/step_state.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Settings {
  float momentum = 0.9f, weight_decay = 5e-4f, inverse_scale = 1;
  bool nesterov = true;
};

class SgdTest : public OpTest {
 protected:
  SgdArgs args(const Settings& s, const Buffer<float>& w, const Buffer<float>& v, const TypedBuffer& gradient,
               const Buffer<float>& lr, const Buffer<StepState>& state, void* compute = nullptr) {
    return {w,
            v,
            gradient,
            compute,
            lr,
            state,
            static_cast<std::int64_t>(w.n),
            dtype(),
            dtype(),
            s.momentum,
            s.weight_decay,
            s.inverse_scale,
            s.nesterov};
  }
};

TEST_P(SgdTest, TwoStepsByHand) {
  auto w = upload<float>({1}), v = upload<float>({0}), lr = upload<float>({0.1f});
  auto gradient = upload_typed({0.5f});
  auto state = upload<StepState>({state_at(0, 0, 0)});
  const Settings s{.weight_decay = 0.1f};
  // g = 0.5 + 0.1 * 1 = 0.6, v = 0.6, w = 1 - 0.1 * (0.6 + 0.9 * 0.6)
  sgd(stream(), args(s, w, v, gradient, lr, state));
  EXPECT_NEAR(download(w)[0], 0.886, 1e-7);
  EXPECT_NEAR(download(v)[0], 0.6, 1e-7);
  // g = 0.5886, v = 0.54 + 0.5886, w = 0.886 - 0.1 * (0.5886 + 0.9 * 1.1286)
  sgd(stream(), args(s, w, v, gradient, lr, state));
  EXPECT_NEAR(download(w)[0], 0.725566, 1e-7);
}

TEST_P(SgdTest, MatchesTheDefinitionOverSteps) {
  const std::vector<float> rates{0.1f, 0.05f, 0.2f};
  for (const bool nesterov : {true, false})
    for (const std::size_t n : {1u, 77u, 33333u}) {
      const Settings s{.inverse_scale = 1.0f / 1024, .nesterov = nesterov};
      auto start = random_values(n, 1, 0, 0.1);
      auto w = upload(start), v = upload(std::vector<float>(n, 0)), lr = upload(rates);
      auto compute = empty_typed(n);
      std::vector<double> want = as_double(start), velocity(n);
      for (int step = 0; step < 3; ++step) {
        const auto g = rounded(random_values(n, 10 + step, 0, 20));
        auto gradient = upload_typed(g);
        auto state = upload<StepState>({state_at(step, 0, 0)});
        sgd(stream(), args(s, w, v, gradient, lr, state, compute));
        stream().synchronize();
        for (std::size_t i = 0; i < n; ++i) {
          const double gi = g[i] / 1024.0 + s.weight_decay * want[i];
          velocity[i] = s.momentum * velocity[i] + gi;
          want[i] -= rates[step] * (nesterov ? gi + s.momentum * velocity[i] : velocity[i]);
        }
      }
      // Weights up to 0.5, three steps of few fp32 roundings each.
      expect_near(download(w), want, tolerance(DType::kF32, 0.5, 6), 0, "w");
      expect_near(download(v), velocity, tolerance(DType::kF32, 0.2, 6), 0, "v");
      EXPECT_EQ(download(compute), rounded(download(w))) << "the compute copy is w, rounded";
    }
}

// The second range has fp32 gradients, and gives the bits of a call of its own.
TEST_P(SgdTest, TwoRangesEqualTwoCalls) {
  for (const std::size_t n : {1u, 2000u, 33333u})
    for (const std::size_t more : {1u, 1023u, 5001u}) {
      const auto lr = upload<float>({0.1f});
      const auto gradient = upload_typed(random_values(n, 20));
      const auto more_gradient = upload(random_values(more, 21));
      const auto state = upload<StepState>({state_at(0, 0, 0)});
      const auto results = [&](bool together) {
        const auto w = upload(random_values(n, 22)), v = upload(random_values(n, 23));
        const auto more_w = upload(random_values(more, 24)), more_v = upload(random_values(more, 25));
        const auto compute = empty_typed(n);
        SgdArgs first = args({.inverse_scale = 0.5f}, w, v, gradient, lr, state, compute);
        if (together) first.more = {more_w, more_v, more_gradient, static_cast<std::int64_t>(more)};
        sgd(stream(), first);
        SgdArgs second = first;
        second.w = more_w;
        second.v = more_v;
        second.gradient = more_gradient;
        second.compute = nullptr;
        second.n = static_cast<std::int64_t>(more);
        second.gradient_dtype = second.compute_dtype = DType::kF32;
        if (!together) sgd(stream(), second);
        return std::vector{download(w), download(v), download(compute), download(more_w), download(more_v)};
      };
      EXPECT_EQ(results(true), results(false)) << n << ", " << more;
    }
}

TEST_P(SgdTest, CheckFiniteLooksAtBothRanges) {
  auto good = upload_typed(std::vector<float>(3001, 1));
  for (const std::size_t at : {0u, 1500u, 4000u}) {
    std::vector<float> values(4001, 1);
    auto state = upload<StepState>({state_at(0, 0, 0)});
    auto more = upload(values);
    check_finite(stream(), {good, state, 3001, dtype(), more, 4001});
    EXPECT_EQ(download(state)[0].nonfinite, 0);
    values[at] = kInf;
    more = upload(values);
    check_finite(stream(), {good, state, 3001, dtype(), more, 4001});
    EXPECT_EQ(download(state)[0].nonfinite, 1) << at;
  }
}

TEST_P(SgdTest, ANonfiniteGradientLeavesEverything) {
  auto w = upload<float>({1, 2}), v = upload<float>({3, 4}), lr = upload<float>({0.1f});
  auto compute = upload_typed({5, 6}), gradient = upload_typed({0.5f, kInf});
  auto state = upload<StepState>({state_at(0, 0, 0)});
  check_finite(stream(), {gradient, state, 2, dtype()});
  sgd(stream(), args({}, w, v, gradient, lr, state, compute));
  EXPECT_EQ(download(w), (std::vector<float>{1, 2}));
  EXPECT_EQ(download(v), (std::vector<float>{3, 4}));
  EXPECT_EQ(download(compute), (std::vector<float>{5, 6}));
  EXPECT_EQ(download(state)[0].nonfinite, 1);
}

TEST_P(SgdTest, CheckFiniteFindsOneBadValueAnywhere) {
  const std::size_t n = 40001;
  for (const float bad : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN()})
    for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
      auto values = random_values(n, 2);
      values[at] = bad;
      auto gradient = upload_typed(values);
      auto state = upload<StepState>({state_at(0, 0, 0)});
      check_finite(stream(), {gradient, state, static_cast<std::int64_t>(n), dtype()});
      EXPECT_EQ(download(state)[0].nonfinite, 1) << bad << " at " << at;
    }
}

TEST_P(SgdTest, CheckFiniteLeavesTheFlagAloneWhereAllIsFinite) {
  const float largest = dtype() == DType::kF16    ? 65504.0f
                        : dtype() == DType::kBf16 ? 0x1.FEp127f
                                                  : std::numeric_limits<float>::max();
  auto gradient = upload_typed({0, -0.0f, largest, -largest, 1e-7f});
  for (const std::int32_t before : {0, 1}) {
    StepState initial = state_at(0, 0, 0);
    initial.nonfinite = before;
    auto state = upload<StepState>({initial});
    check_finite(stream(), {gradient, state, 5, dtype()});
    EXPECT_EQ(download(state)[0].nonfinite, before);
  }
}

TEST_P(SgdTest, ThreadsDoNotChangeABit) {
  if (!is_cpu()) GTEST_SKIP() << "only the CPU uses OpenMP threads";
  const std::size_t n = 100003;
  const auto run = [&](int threads) {
    const ThreadCount guard(threads);
    auto w = upload(random_values(n, 3)), v = upload(random_values(n, 4)), lr = upload<float>({0.1f});
    auto gradient = upload_typed(random_values(n, 5));
    auto state = upload<StepState>({state_at(0, 0, 0)});
    sgd(stream(), args({}, w, v, gradient, lr, state));
    return download(w);
  };
  EXPECT_EQ(run(2), run(1));
}

TEST_P(SgdTest, RejectsInvalidArguments) {
  auto w = upload<float>({1});
  auto gradient = upload_typed({1});
  auto state = upload<StepState>({state_at(0, 0, 0)});
  SgdArgs bad = args({}, w, w, gradient, w, state);
  bad.v = nullptr;
  EXPECT_THROW(sgd(stream(), bad), Error);
  EXPECT_THROW(check_finite(stream(), {nullptr, state, 1, dtype()}), Error);
  EXPECT_THROW(check_finite(stream(), {gradient, state, 1, dtype(), nullptr, 1}), Error);
  if (!is_cpu()) return;
  bad = args({}, w, w, gradient, w, state);
  bad.gradient_dtype = DType::kF16;
  EXPECT_THROW(sgd(stream(), bad), Error);
  bad = args({}, w, w, gradient, w, state, w);
  bad.compute_dtype = DType::kF16;
  EXPECT_THROW(sgd(stream(), bad), Error);
  EXPECT_THROW(check_finite(stream(), {gradient, state, 1, DType::kF16}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, SgdTest, testing::ValuesIn(every_device_and_type()), name_of_case);

}  // namespace
}  // namespace tdds::test
