#include "kernels/ops/window_score.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>

#include "kernels/numerics/round_up.h"
#include "kernels/ops/window_sweep.h"
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

// Values whose end is the end of the accessible memory: the process ends where one behind them is read.
template <class T>
class LastOfMemory {
 public:
  explicit LastOfMemory(const std::vector<T>& values)
      : bytes_(values.size() * sizeof(T)), page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    map_ = static_cast<std::byte*>(
        ::mmap(nullptr, mapped(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    check(map_ != MAP_FAILED && ::mprotect(map_ + mapped() - page_, page_, PROT_NONE) == 0, "no test memory");
    std::memcpy(data(), values.data(), bytes_);
  }
  ~LastOfMemory() { ::munmap(map_, mapped()); }
  LastOfMemory(const LastOfMemory&) = delete;
  LastOfMemory& operator=(const LastOfMemory&) = delete;

  T* data() const { return reinterpret_cast<T*>(map_ + mapped() - page_ - bytes_); }

 private:
  std::size_t mapped() const { return round_up(bytes_, page_) + page_; }

  std::size_t bytes_, page_;
  std::byte* map_;
};

TEST(WindowSweepTest, ReadsAndWritesNothingBehindItsArrays) {
  for (const std::int64_t samples : {1, 7, 255, 256, 257, 600}) {
    constexpr std::int32_t kEpochs = 6, kWindow = 3;
    const auto n = static_cast<std::size_t>(samples);
    const std::vector<float> values = random_values((kEpochs - 1) * n, 3);
    const std::vector<float> unset(n);
    const LastOfMemory<float> series{values}, score{unset}, same{unset};
    const LastOfMemory<double> wide{as_double(values)}, s{as_double(unset)};
    const cpu::WindowSweepOutput output{kEpochs, score.data()}, wide_output{kEpochs, same.data()};
    cpu::window_sweep(series.data(), samples, kWindow, 0.9, {&output, 1});
    cpu::window_sweep(wide.data(), samples, kWindow, 0.9, {&wide_output, 1});
    for (int k = 0; k <= kEpochs - kWindow; ++k) {
      const float* const rows[] = {series.data() + k * samples, series.data() + (k + 1) * samples};
      cpu::window_step(rows, samples, 0.9, s.data());
    }
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ(score.data()[i], same.data()[i]);
      EXPECT_EQ(score.data()[i], static_cast<float>(s.data()[i]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, WindowScoreTest, testing::ValuesIn(every_device()), name_of_case);

}  // namespace
}  // namespace tdds::test
