#include "tdds/methods/tdds_score.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <limits>

#include "kernels/ops/window_score.h"
#include "kernels/runtime/check.h"
#include "tests/tdds/reference.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

KlSeries as_series(const std::vector<test::Row>& rows) {
  KlSeries series;
  series.samples = static_cast<std::int64_t>(rows[0].size());
  series.epochs = static_cast<std::int32_t>(rows.size()) + 1;
  for (const auto& row : rows)
    for (const long double value : row) series.values.push_back(static_cast<float>(value));
  return series;
}

// Values from 1e-7 to 1 in one window, for which a sum of squares minus a squared sum would cancel.
std::vector<test::Row> wide_series(int rows, std::size_t samples) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> decade(-7, 0);
  std::vector<test::Row> series(static_cast<std::size_t>(rows), test::Row(samples));
  for (auto& row : series)
    for (auto& value : row) value = static_cast<float>(std::pow(10.0, decade(random)));
  return series;
}

class TddsScoreTest : public testing::Test {
 protected:
  std::vector<float> score(const KlSeries& series, ScoreSetting setting, double decay) {
    return tdds_scores(*device_, series, {&setting, 1}, decay)[0];
  }
  std::unique_ptr<Device> device_ = make_device(DeviceKind::kCpu);
};

TEST_F(TddsScoreTest, KnownValues) {
  // One sample, d = 1, 2, 4: J = 3 has the windows (1, 2) and (2, 4) with R = sqrt(1/2) and sqrt(2).
  const KlSeries series{1, 4, {1, 2, 4}};
  const double r0 = std::sqrt(0.5), r1 = std::sqrt(2.0);
  EXPECT_FLOAT_EQ(score(series, {4, 3}, 0.9)[0], static_cast<float>(0.9 * 0.1 * r0 + 0.9 * r1));
  EXPECT_FLOAT_EQ(score(series, {3, 3}, 0.9)[0], static_cast<float>(0.9 * r0));
  EXPECT_FLOAT_EQ(score(series, {4, 3}, 1.0)[0], static_cast<float>(r1));
  EXPECT_EQ(score(series, {4, 3}, 0.0)[0], 0.0f);
  // J = 4: one window of all three, mean 7/3, squares 14/3.
  EXPECT_FLOAT_EQ(score(series, {4, 4}, 0.5)[0], static_cast<float>(0.5 * std::sqrt(14.0 / 3)));
}

TEST_F(TddsScoreTest, EqualsTheExplicitSum) {
  const auto rows = wide_series(39, 700);
  const KlSeries series = as_series(rows);
  for (const ScoreSetting setting : {ScoreSetting{40, 10}, {40, 3}, {40, 40}, {25, 20}, {12, 5}, {3, 3}}) {
    for (const double decay : {0.9, 0.5, 0.1, 1.0, 0.0}) {
      const auto expected = test::reference_scores(rows, setting.trajectory_len, setting.window_size, decay);
      const auto actual = score(series, setting, decay);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        const auto exact = static_cast<double>(expected[i]);
        // Sums are in double, so only the rounding to float32 remains.
        ASSERT_NEAR(actual[i], exact, 1e-7 * exact) << to_string(setting) << " " << decay;
      }
    }
  }
}

TEST_F(TddsScoreTest, OneSweepGivesTheBitsOfSingleScores) {
  const KlSeries series = as_series(wide_series(59, 1000));
  std::vector<ScoreSetting> settings;
  for (const int j : {20, 5, 10})
    for (const int t : {60, 20, 40, 21}) settings.push_back({t, j});
  const auto together = tdds_scores(*device_, series, settings, 0.9);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    EXPECT_EQ(score(series, settings[i], 0.9), together[i]);
    // The op, which other devices run, is the same arithmetic on the CPU.
    const auto stream = device_->make_stream(StreamMode::kDeferred);
    std::vector<float> from_op(1000);
    const std::vector<float> values(series.values.begin(), series.values.end());
    const WindowScoreArgs args{
        values.data(), from_op.data(), 1000, settings[i].trajectory_len, settings[i].window_size, 0.9};
    window_score(*stream, args);
    stream->synchronize();
    EXPECT_EQ(from_op, together[i]);
  }
  omp_set_num_threads(threads);
}

TEST_F(TddsScoreTest, AConstantSeriesScoresZeroAndScalingScales) {
  KlSeries series{3, 11, std::vector<double>(30, 0.125)};
  EXPECT_EQ(score(series, {11, 5}, 0.9), (std::vector<float>{0, 0, 0}));
  series = as_series(wide_series(10, 50));
  const auto before = score(series, {11, 5}, 0.9);
  for (double& value : series.values) value *= 4;
  const auto after = score(series, {11, 5}, 0.9);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_FLOAT_EQ(after[i], 4 * before[i]);
}

// Short windows of series that hardly change, computed from logits: differences of nearly equal d's.
TEST_F(TddsScoreTest, IsRightFromLogitsAtEveryConfidenceAndWindow) {
  for (const int classes : {2, 10}) {
    const test::TemporaryFolder folder;
    const test::Recorded recorded = test::random_dynamics(4000, classes, 6, 12);
    for (int epoch = 0; epoch < 6; ++epoch) {
      const auto& ids = recorded.ids[static_cast<std::size_t>(epoch)];
      write_official_epoch(folder.path(), epoch, std::vector<float>(ids.size()),
                           in_visiting_order(recorded, epoch, ids), classes, ids);
    }
    const KlSeries series = read_official_series(folder.path(), 6);
    const auto exact_series = test::reference_series(recorded);
    for (const ScoreSetting setting : {ScoreSetting{3, 3}, {6, 3}, {6, 4}, {6, 6}}) {
      const auto actual = score(series, setting, 0.9);
      const auto expected =
          test::reference_scores(exact_series, setting.trajectory_len, setting.window_size, 0.9L);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        const auto exact = static_cast<double>(expected[i]);
        ASSERT_NEAR(actual[i], exact, 1e-5 * exact) << classes << " classes, " << to_string(setting)
                                                    << ", sample " << i << ", confidence class " << i % 8;
      }
    }
  }
}

TEST_F(TddsScoreTest, RejectsInvalidSettingsAndValues) {
  const KlSeries series = as_series(wide_series(9, 5));
  EXPECT_THROW(score(series, {10, 2}, 0.9), UsageError);
  EXPECT_THROW(score(series, {5, 6}, 0.9), UsageError);
  EXPECT_THROW(score(series, {11, 5}, 0.9), UsageError);
  EXPECT_THROW(score(series, {10, 5}, 1.1), UsageError);
  EXPECT_THROW(score(series, {10, 5}, std::nan("")), UsageError);
  KlSeries broken = series;
  broken.values[12] = std::numeric_limits<float>::infinity();
  try {
    score(broken, {10, 5}, 0.9);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("sample 2 in epoch 3"), std::string::npos) << error.what();
  }
}

TEST_F(TddsScoreTest, TheStoreAndTheOfficialFilesGiveTheSameScores) {
  const test::TemporaryFolder folder;
  const test::Recorded recorded = test::random_dynamics(300, 10, 12, 8);
  DynamicsHeader header;
  header.samples = 300;
  header.classes = 10;
  header.fields = {DynamicsField::kAbsKl};
  DynamicsWriter writer(folder / "dynamics.tdds", header);
  const auto rows = test::reference_series(recorded);
  for (int epoch = 0; epoch < 12; ++epoch) {
    const auto e = static_cast<std::size_t>(epoch);
    EpochDynamics values;
    values.kl.assign(300, 0.0f);
    if (epoch > 0) values.kl.assign(rows[e - 1].begin(), rows[e - 1].end());
    writer.append(epoch, values);
    write_official_epoch(folder.path(), epoch, values.kl, in_visiting_order(recorded, epoch, recorded.ids[e]),
                         10, recorded.ids[e]);
  }
  const DynamicsReader reader(folder / "dynamics.tdds");
  const auto from_store = score(series_of(reader, 12), {12, 5}, 0.9);
  const auto from_files = score(read_official_series(folder.path(), 12), {12, 5}, 0.9);
  const auto expected = test::reference_scores(rows, 12, 5, 0.9L);
  for (std::size_t i = 0; i < 300; ++i) {
    const auto exact = static_cast<double>(expected[i]);
    EXPECT_NEAR(from_store[i], exact, 1e-5 * exact);  // the requirement on a score
    EXPECT_NEAR(from_files[i], exact, 1e-5 * exact);
  }
}

}  // namespace
}  // namespace tdds
