#include "kernels/ops/window_score.h"

#include <cmath>

#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class WindowScoreTest : public OpTest {};

// The formula of kernels/ops/window_score.h for one sample, in long double.
double exact_score(const std::vector<float>& series, std::size_t samples, std::size_t i, int t, int j,
                   double decay) {
  long double score = 0;
  for (int k = 0; k <= t - j; ++k) {
    long double mean = 0, squares = 0;
    for (int n = 0; n < j - 1; ++n) mean += series[(k + n) * samples + i];
    mean /= j - 1;
    for (int n = 0; n < j - 1; ++n) {
      const long double off = series[(k + n) * samples + i] - mean;
      squares += off * off;
    }
    score = (1 - static_cast<long double>(decay)) * score + decay * std::sqrt(squares);
  }
  return static_cast<double>(score);
}

// Sums and the recursion are in double on every device, so the only float32 error is the rounding of the
// result. In the second series the values of a window agree to three digits, and sums in float32 would lose
// three digits.
TEST_P(WindowScoreTest, MatchesTheFormulaInDouble) {
  constexpr std::int64_t kSamples = 301;
  constexpr std::int32_t kEpochs = 30;
  std::vector<float> wide = random_values((kEpochs - 1) * kSamples, 1), close = wide;
  for (float& d : wide) d = std::exp(4 * d);
  for (float& d : close) d = 1 + 1e-3f * d;
  for (const std::vector<float>& series : {wide, close})
    for (const auto& [t, j, decay] : {std::tuple{30, 10, 0.9}, {30, 3, 0.1}, {12, 12, 1.0}, {3, 3, 0.5}}) {
      auto memory = upload(series);
      auto score = empty<float>(kSamples);
      window_score(stream(), {memory, score, kSamples, t, j, decay});
      std::vector<double> want;
      for (std::size_t i = 0; i < kSamples; ++i)
        want.push_back(exact_score(series, kSamples, i, t, j, decay));
      // For `close`, sums in double have an error of 1e-16, and the scores are about 1e-3.
      expect_near(download(score), want, 1e-15, 2e-7, fmt::format("T={} J={} decay={}", t, j, decay));
    }
}

INSTANTIATE_TEST_SUITE_P(Devices, WindowScoreTest, testing::ValuesIn(every_device()), name_of_case);

}  // namespace
}  // namespace tdds::test
