// The official files of a real training: what they hold for an epoch, and their scores.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/io/dynamics_store.h"
#include "engine/io/npy.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/tdds/reference.h"

namespace tdds::test {
namespace {

constexpr int kEpochs = 8, kClasses = 10;
constexpr std::int64_t kSamples = 240;

// The logits and orders in <run>/npy, logits by sample id.
Recorded read_official(const std::string& npy) {
  Recorded recorded{kSamples, kClasses, {}, {}};
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto ids = read_npy_i64(fmt::format("{}/{}_Index.npy", npy, epoch));
    const NpyReader file(fmt::format("{}/{}_Output.npy", npy, epoch), DType::kF32, 2);
    if (file.shape() != std::vector<std::int64_t>{kSamples, kClasses} || ids.size() != kSamples)
      throw std::runtime_error(file.path() + " has another shape");
    std::vector<float> visited(static_cast<std::size_t>(file.elements())), by_id(visited.size());
    file.read(0, file.elements(), visited.data());
    for (std::int64_t v = 0; v < kSamples; ++v)
      std::copy_n(visited.begin() + v * kClasses, kClasses,
                  by_id.begin() + ids[static_cast<std::size_t>(v)] * kClasses);
    recorded.logits.push_back(std::move(by_id));
    recorded.ids.push_back(ids);
  }
  return recorded;
}

class OfficialFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome outcome = run_tool("tdds-train", with(tiny(run_.str(), kEpochs), {"--dynamics_npy"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    recorded_ = read_official(npy_);
  }

  TemporaryFolder run_, masks_;
  const std::string npy_ = run_ / "npy";
  Recorded recorded_;
};

// In the order of the visits, which changes with the epoch; the losses are those of the logits beside them.
TEST_F(OfficialFilesTest, HoldTheLogitsTheLossesAndTheOrder) {
  const DynamicsReader store(run_ / "dynamics.tdds");
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto& ids = recorded_.ids[static_cast<std::size_t>(epoch)];
    const auto loss = read_npy_f32(fmt::format("{}/{}_Loss.npy", npy_, epoch));
    ASSERT_EQ(loss.size(), std::size_t{kSamples});
    EXPECT_FALSE(std::is_sorted(ids.begin(), ids.end()));
    EXPECT_TRUE(epoch == 0 || ids != recorded_.ids[0]);
    for (std::size_t v = 0; v < ids.size(); ++v) {
      const auto id = static_cast<std::size_t>(ids[v]);
      const Row p =
          softmax(recorded_.logits[static_cast<std::size_t>(epoch)].data() + id * kClasses, kClasses);
      const auto exact =
          static_cast<double>(-std::log(p[static_cast<std::size_t>(store.header().labels[id])]));
      EXPECT_NEAR(loss[v], exact, 1e-5 * exact) << "epoch " << epoch << ", visit " << v;
      EXPECT_EQ(loss[v], store.loss(epoch)[id]);
    }
  }
}

// The score with norms of d about 0 in place of norms about its mean. A score is a difference of d's, and d
// is a difference of logs. Where these nearly agree, float32 keeps their digits but not those of the
// difference.
Row norms_about_zero(const std::vector<Row>& series, int t, int j, long double decay) {
  Row norm(series[0].size());
  for (std::size_t i = 0; i < norm.size(); ++i)
    for (int k = 0; k <= t - j; ++k) {
      long double squares = 0;
      for (int m = k; m < k + j - 1; ++m) {
        const long double d = series[static_cast<std::size_t>(m)][i];
        squares += d * d;
      }
      norm[i] += decay * std::pow(1 - decay, t - j - k) * std::sqrt(squares);
    }
  return norm;
}

TEST_F(OfficialFilesTest, GiveTheScoresOfTheStoreAndOfTheDefinition) {
  const auto series = reference_series(recorded_);
  std::filesystem::copy(npy_, run_ / "apart");  // beside a store, npy/ means the store
  for (const auto& [t, j] : {std::pair{8, 4}, {8, 8}, {5, 3}}) {
    const Row exact = reference_scores(series, t, j, 0.9L), norm = norms_about_zero(series, t, j, 0.9L);
    for (const char* source : {"dynamics.tdds", "apart"}) {
      SCOPED_TRACE(fmt::format("{} T={} J={}", source, t, j));
      const Outcome outcome =
          run_tool("tdds-score", {"--dynamics_path", run_ / source, "--mask_path", masks_.str(),
                                  "--trajectory_len", std::to_string(t), "--window_size", std::to_string(j)});
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      const auto mask = read_npy_i64(fmt::format("{}/data_mask_win{}_ep{}.npy", masks_.str(), j, t));
      const auto score = read_npy_f32(fmt::format("{}/score_win{}_ep{}.npy", masks_.str(), j, t));
      ASSERT_EQ(mask.size(), exact.size());
      ASSERT_EQ(score.size(), exact.size());
      EXPECT_TRUE(std::is_sorted(score.begin(), score.end()));
      std::vector<double> relative;
      for (std::size_t i = 0; i < mask.size(); ++i) {
        const auto id = static_cast<std::size_t>(mask[i]);
        const auto expected = static_cast<double>(exact[id]);
        EXPECT_NEAR(score[i], expected, 1e-5 * static_cast<double>(norm[id])) << "sample " << id;
        relative.push_back(std::abs(score[i] / expected - 1));
      }
      std::sort(relative.begin(), relative.end());
      EXPECT_LT(relative[relative.size() / 2], 1e-6);
      EXPECT_LT(relative[relative.size() * 9 / 10], 1e-5);
    }
  }
}

}  // namespace
}  // namespace tdds::test
