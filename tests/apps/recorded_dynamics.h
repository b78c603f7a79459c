#pragma once
// Dynamics as a training records them, for tests of tdds-score.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "engine/io/dynamics_store.h"
#include "engine/io/npy.h"
#include "tests/apps/program.h"
#include "tests/tdds/reference.h"

namespace tdds::test {

inline constexpr int kEpochs = 12, kSamples = 200, kClasses = 10;

class RecordedDynamicsTest : public testing::Test {
 protected:
  // Every written file waits for the disk, so they are written once and copied for each test.
  static void SetUpTestSuite() {
    recording_ = std::make_unique<Recording>();
    for (int epoch = 0; epoch < kEpochs; ++epoch) write_epoch(recording_->folder / "npy", epoch, ids(epoch));
    write_store_to(recording_->folder / "dynamics.tdds");
  }
  static void TearDownTestSuite() { recording_.reset(); }
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "run");
    std::filesystem::copy(recording_->folder / "npy", npy_);
  }
  static const Recorded& recorded() { return recording_->dynamics; }
  static const std::vector<std::int64_t>& ids(int epoch) {
    return recorded().ids[static_cast<std::size_t>(epoch)];
  }
  static void write_epoch(const std::string& npy, int epoch, const std::vector<std::int64_t>& order) {
    const std::vector<float> loss(order.size());
    write_official_epoch(npy, epoch, loss, in_visiting_order(recorded(), epoch, order), kClasses, order);
  }
  static void write_store(const std::string& path) {
    std::filesystem::copy_file(recording_->folder / "dynamics.tdds", path);
  }
  static void write_store_to(const std::string& path) {
    DynamicsHeader header;
    header.samples = kSamples;
    header.classes = kClasses;
    header.dataset = "shapes";
    header.seed = 7;
    for (int i = 0; i < kSamples; ++i) header.labels.push_back(i % kClasses);
    const auto series = reference_series(recorded());
    DynamicsWriter writer(path, header);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      EpochDynamics values(kSamples);
      if (epoch > 0) {
        const Row& d = series[static_cast<std::size_t>(epoch - 1)];
        values.kl.assign(d.begin(), d.end());
      }
      writer.append(epoch, values);
    }
  }

  Outcome score(std::vector<std::string> args, const Limits& limits = {}) const {
    args.insert(args.end(), {"--mask_path", masks_});
    std::fflush(nullptr);  // buffered text would count against the child's file size
    return run_tool("tdds-score", args, limits);
  }
  std::string mask_file(int j, int t) const {
    return fmt::format("{}/data_mask_win{}_ep{}.npy", masks_, j, t);
  }
  std::string score_file(int j, int t) const { return fmt::format("{}/score_win{}_ep{}.npy", masks_, j, t); }

  // Runs tdds-score with these flags on the recorded dynamics; expects one sentence with `words` and this
  // exit code.
  void expect_refusal(const std::vector<std::string>& flags, int exit_code, const std::string& words) const {
    std::vector<std::string> args = flags;
    if (flags.empty() || flags[0] != "--dynamics_path") args.insert(args.begin(), {"--dynamics_path", npy_});
    const Outcome outcome = score(args);
    EXPECT_EQ(outcome.exit_code, exit_code) << words;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(mask_file(10, 10)));
  }

  void expect_refusal_after(const std::vector<std::string>& flags, const std::string& words) const {
    std::vector<std::string> args{"--dynamics_path", npy_};
    args.insert(args.end(), flags.begin(), flags.end());
    const Outcome outcome = score(args);
    EXPECT_EQ(outcome.exit_code, 2) << words;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  }

  // The content of <masks>/<name>.json.
  nlohmann::json json_of(const std::string& name) const {
    return nlohmann::json::parse(read_text(fmt::format("{}/{}.json", masks_, name)));
  }

  TemporaryFolder folder_;
  std::string npy_ = folder_ / "run/npy", masks_ = folder_ / "masks";

  struct Recording {
    TemporaryFolder folder;
    Recorded dynamics = random_dynamics(kSamples, kClasses, kEpochs, 11);
  };
  static inline std::unique_ptr<Recording> recording_;
};

}  // namespace tdds::test
