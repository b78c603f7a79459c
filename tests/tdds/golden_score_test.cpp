// Scores against the fixture that tests/golden/golden_scores.py made with PyTorch: the exact formula in
// float64 and the official code in float32, on dynamics of every confidence.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/io/dynamics_store.h"
#include "engine/io/safetensors.h"
#include "tdds/methods/tdds_score.h"
#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

class GoldenScoreTest : public testing::TestWithParam<const char*> {
 protected:
  template <class T>
  std::vector<T> read(const std::string& name) const {
    const StoredTensor& tensor = fixture_.at(name);
    EXPECT_EQ(tensor.bytes % sizeof(T), 0u);
    std::vector<T> values(tensor.bytes / sizeof(T));
    fixture_.read(tensor, values.data());
    return values;
  }
  // official_score may be stored in float32 or in float64.
  std::vector<double> read_real(const std::string& name) const {
    if (fixture_.at(name).dtype == DType::kF64) return read<double>(name);
    const auto values = read<float>(name);
    return {values.begin(), values.end()};
  }
  std::string named(const char* what) const { return std::string(GetParam()) + "." + what; }

  KlSeries series_from_files(std::int32_t& epochs) const {
    const test::TemporaryFolder folder;
    const auto shape = fixture_.at(named("logits")).shape;
    const auto logits = read<float>(named("logits"));
    const auto ids = read<std::int64_t>(named("index"));
    const auto rows = static_cast<std::size_t>(shape[1]), classes = static_cast<std::size_t>(shape[2]);
    epochs = static_cast<std::int32_t>(shape[0]);
    const std::vector<float> loss(rows);
    for (std::size_t e = 0; e < static_cast<std::size_t>(shape[0]); ++e) {
      write_official_epoch(folder.path(), static_cast<std::int32_t>(e), loss,
                           {logits.data() + e * rows * classes, rows * classes}, shape[2],
                           {ids.data() + e * rows, rows});
    }
    return read_official_series(folder.path(), epochs);
  }

  SafetensorsFile fixture_{golden_path("scores.safetensors")};
};

// The error of a score by float32 in the official code.
double official_noise(double score) {
  return 3e-6 + 2e-4 * score;
}

void expect_same_order(const float* actual, const double* official, std::size_t samples) {
  std::vector<std::size_t> order(samples);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return actual[a] < actual[b]; });
  double highest = -1;  // official, of those before
  for (const std::size_t i : order) {
    EXPECT_GE(official[i], highest - official_noise(highest)) << "sample " << i;
    highest = std::max(highest, official[i]);
  }
}

TEST_P(GoldenScoreTest, SeriesAndScoresAreRightToFiveDigitsAtEveryConfidence) {
  std::int32_t epochs = 0;
  const KlSeries series = series_from_files(epochs);
  const auto exact_series = read<double>(named("series"));
  ASSERT_EQ(series.values.size(), exact_series.size());
  for (std::size_t i = 0; i < exact_series.size(); ++i)
    ASSERT_NEAR(series.values[i], exact_series[i], 1e-5 * exact_series[i]) << i;

  const auto settings = read<double>("settings");
  const auto exact = read<double>(named("score"));
  const auto official = read_real(named("official_score"));
  const auto samples = static_cast<std::size_t>(series.samples);
  const auto device = make_device(DeviceKind::kCpu);
  for (std::size_t s = 0; s * 3 < settings.size(); ++s) {
    const ScoreSetting setting{static_cast<int>(settings[3 * s]), static_cast<int>(settings[3 * s + 1])};
    const auto score = tdds_scores(*device, series, {&setting, 1}, settings[3 * s + 2])[0];
    for (std::size_t i = 0; i < samples; ++i) {
      const std::size_t at = s * samples + i;
      EXPECT_NEAR(score[i], exact[at], 1e-5 * exact[at]) << to_string(setting) << ", sample " << i;
      EXPECT_NEAR(score[i], official[at], official_noise(exact[at]))
          << to_string(setting) << ", sample " << i;
    }
    expect_same_order(score.data(), official.data() + s * samples, samples);
  }
}

INSTANTIATE_TEST_SUITE_P(Classes, GoldenScoreTest, testing::Values("k10", "k100"),
                         [](const auto& suite) { return std::string(suite.param); });

}  // namespace
}  // namespace tdds
