#include "tdds/methods/streaming_score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/runtime/check.h"
#include "tdds/methods/tdds_score.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

constexpr int kEpochs = 26, kSamples = 300;

// Plausible dynamics; the series spans six decades.
class StreamingScoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::mt19937 random(3);
    std::uniform_real_distribution<float> unit(0, 1);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      EpochDynamics values(kSamples);
      values.feature_norm.resize(kSamples);
      for (std::size_t i = 0; i < kSamples; ++i) {
        values.kl[i] = epoch == 0 ? 0 : std::pow(10.0f, -6 * unit(random));
        values.loss[i] = 4 * unit(random);
        values.log_other[i] = std::log(1 - 0.9f * std::exp(-values.loss[i]));
        values.entropy[i] = unit(random);
        values.el2n[i] = unit(random);
        values.feature_norm[i] = 3 * unit(random);
        values.correct[i] = unit(random) < 0.02f * static_cast<float>(i % 40);
      }
      epochs_.push_back(values);
    }
  }
  static void TearDownTestSuite() { epochs_.clear(); }

  static KlSeries series(int epochs) {
    KlSeries series{kSamples, epochs, {}};
    for (int epoch = 1; epoch < epochs; ++epoch) {
      const std::vector<float>& kl = epochs_[static_cast<std::size_t>(epoch)].kl;
      series.values.insert(series.values.end(), kl.begin(), kl.end());
    }
    return series;
  }

  static inline std::vector<EpochDynamics> epochs_;
};

TEST_F(StreamingScoreTest, TddsHasTheBitsOfTheStoredSeriesForEveryTAndJ) {
  const auto device = make_device(DeviceKind::kCpu);
  for (const double decay : {0.9, 0.3, 1.0, 0.0}) {
    for (int j = 3; j <= kEpochs; ++j) {
      const auto streaming = streaming_tdds(kSamples, j, decay);
      for (int t = 1; t <= kEpochs; ++t) {
        streaming->add(view_of(epochs_[static_cast<std::size_t>(t - 1)]));
        if (t < j) {
          EXPECT_THROW(streaming->score(), Error);
          continue;
        }
        const ScoreSetting setting{t, j};
        ASSERT_EQ(streaming->score(), tdds_scores(*device, series(t), {&setting, 1}, decay)[0])
            << to_string(setting) << " decay " << decay;
      }
    }
  }
}

TEST_F(StreamingScoreTest, EveryMethodHasTheBitsOfTheStoreAfterEveryEpoch) {
  const test::TemporaryFolder folder;
  DynamicsHeader header;
  header.samples = kSamples;
  header.classes = 10;
  header.fields = all_dynamics_fields();
  const std::string path = folder / "dynamics.tdds";
  DynamicsWriter writer(path, header);
  for (int epoch = 0; epoch < 14; ++epoch) writer.append(epoch, epochs_[static_cast<std::size_t>(epoch)]);
  const DynamicsReader reader(path);
  const MethodOptions options{.window_size = 4};
  for (const Method* method : all_methods()) {
    if (!method->make || has_trajectory(*method)) continue;
    StreamingScore score = streaming_score(*method, kSamples, 14, options);
    for (std::int32_t t = 1; t <= 14; ++t) {
      score.add(view_of(epochs_[static_cast<std::size_t>(t - 1)]), "the run");
      EXPECT_EQ(score.ready(), t >= least_epochs(*method, options)) << method->name << " " << t;
      if (!score.ready()) continue;
      const std::int32_t used = method->epochs > 0 ? std::min(t, method->epochs) : t;
      ASSERT_EQ(score.score(), compute_scores(*method, reader, {.epochs = used, .window_size = 4}))
          << method->name << " after " << t;
      EXPECT_EQ(score.epochs(), used);
    }
    EXPECT_TRUE(score.complete()) << method->name;
  }
}

TEST_F(StreamingScoreTest, CorrelatesWithTheEpochBefore) {
  StreamingScore score(streaming_tdds(kSamples, 5, 0.9), kSamples,
                       {.needs = {DynamicsField::kAbsKl}, .least_epochs = 5, .last_epochs = 8});
  for (int t = 1; t <= 8; ++t) {
    score.add(view_of(epochs_[static_cast<std::size_t>(t - 1)]), "the run");
    EXPECT_EQ(score.correlation().has_value(), t > 5) << t;
    if (t > 5) {
      EXPECT_LT(std::abs(*score.correlation()), 0.999);
    }
  }
  // After its last epoch, a score ignores further epochs.
  const auto before = score.score();
  score.add(view_of(epochs_[8]), "the run");
  EXPECT_EQ(score.score(), before);
  EXPECT_EQ(score.correlation(), 1.0);
}

TEST_F(StreamingScoreTest, RejectsUnusableSettingsAndValues) {
  EXPECT_THROW(streaming_tdds(kSamples, 2, 0.9), Error);
  EXPECT_THROW(streaming_score(find_method("el2n"), kSamples, 20, {.epochs = 21}), UsageError);
  EXPECT_THROW(streaming_score(find_method("dual"), kSamples, 9, {}), UsageError);
  StreamingScore score = streaming_score(find_method("el2n"), kSamples, 20, {});
  EpochDynamics broken = epochs_[0];
  broken.el2n[17] = std::nanf("");
  try {
    score.add(view_of(broken), "the run");
    FAIL() << "a NaN was accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("of sample 17 in epoch 0"), std::string::npos) << error.what();
  }
  broken.el2n.clear();
  EXPECT_THROW(score.add(view_of(broken), "the run"), Error);
}

}  // namespace
}  // namespace tdds
