#pragma once
// A recorded run and a sweep for the tests of tdds-report.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/data/dataset.h"
#include "engine/io/dynamics_store.h"
#include "tests/apps/program.h"

namespace tdds::test {

using nlohmann::json;

inline constexpr int kEpochs = 12, kSamples = 200, kClasses = 10, kImages = 6;

inline const Dataset& shapes() {
  static const Dataset data = [] {
    DatasetOptions options;
    options.name = "shapes";
    options.shapes_train = kSamples;
    options.shapes_test = 10;
    options.seed = 7;
    return load_dataset(options);
  }();
  return data;
}

inline DynamicsHeader header_of_shapes() {
  DynamicsHeader header;
  header.samples = kSamples;
  header.classes = kClasses;
  header.dataset = "shapes";
  header.fingerprint = shapes().fingerprint;
  header.seed = 7;
  header.labels = shapes().train.labels;
  return header;
}

// Samples learned at different speeds; those with a wrong label hardly at all.
inline void write_store(const std::string& path, const DynamicsHeader& header, int epochs = kEpochs) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(0.01f, 1);
  DynamicsWriter writer(path, header);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    EpochDynamics values(header.samples);
    for (std::size_t i = 0; i < values.kl.size(); ++i) {
      const bool wrong = shapes().truth->wrong_label[i] != 0;
      const float p =
          wrong ? 0.02f * uniform(random)
                : 0.99f - 0.9f * std::exp(-0.1f * static_cast<float>(1 + i % 5) * (epoch + uniform(random)));
      values.kl[i] = epoch > 0 ? 0.3f * uniform(random) : 0;
      values.loss[i] = -std::log(p);
      values.log_other[i] = std::log(0.9f * (1 - p));
      values.entropy[i] = uniform(random);
      values.el2n[i] = 1 - p;
      values.correct[i] = p > 0.5f;
    }
    writer.append(epoch, values);
  }
}

inline json sweep_of(int samples) {
  json sweep{{"format", "tdds-sweep-1"},
             {"dataset", "shapes"},
             {"fingerprint", shapes().fingerprint},
             {"arch", "resnet18"},
             {"width", 0.25},
             {"epochs", 8},
             {"budget", "epochs"},
             {"samples", samples},
             {"settings", {{"rates", "0.7,0.3"}, {"batch_size", "50"}, {"subset_batch_size", "10,20"}}},
             {"scoring_runs", json::array()},
             {"runs", json::array()},
             {"wrong_labels", json::array()}};
  for (int seed = 1; seed <= 3; ++seed) {
    sweep["scoring_runs"].push_back(
        {{"seed", seed}, {"folder", "run"}, {"best_accuracy", 90 + seed}, {"last_accuracy", 89 + seed}});
    sweep["wrong_labels"].push_back({{"method", "aum"},
                                     {"seed", seed},
                                     {"end", "high"},
                                     {"count", 20},
                                     {"precision", 0.5 + 0.1 * seed},
                                     {"recall", 0.5}});
    for (const char* method : {"tdds", "random"})
      for (const double rate : {0.7, 0.3})
        sweep["runs"].push_back({{"method", method},
                                 {"rate", rate},
                                 {"seed", seed},
                                 {"kept", 60},
                                 {"epochs", 8},
                                 {"steps", 80},
                                 {"best_accuracy", 80 - 10 * rate + seed},
                                 {"last_accuracy", 79.0 + seed},
                                 {"folder", "subset"},
                                 {"selection", "subset/ids.txt"}});
  }
  return sweep;
}

class ReportTest : public testing::Test {
 protected:
  // Every written store waits for the disk, so it is written once and copied for each test.
  static void SetUpTestSuite() {
    recording_ = std::make_unique<TemporaryFolder>();
    write_store(*recording_ / "dynamics.tdds", header_of_shapes());
  }
  static void TearDownTestSuite() { recording_.reset(); }
  ReportTest() {
    std::filesystem::create_directories(folder_ / "run");
    std::filesystem::copy_file(*recording_ / "dynamics.tdds", store_);
  }

  Outcome report(const std::vector<std::string>& flags, const Limits& limits = {}) const {
    std::vector<std::string> args{"--output", page_, "--images", std::to_string(kImages)};
    args.insert(args.end(), flags.begin(), flags.end());
    return run_tool("tdds-report", args, limits);
  }
  // The page's data after a run that must succeed.
  json data_of(const std::vector<std::string>& flags) const {
    const Outcome outcome = report(flags);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::string page = read_text(page_), begin = "<script type=\"application/json\" id=\"data\">";
    const std::size_t from = page.find(begin) + begin.size();
    return json::parse(page.substr(from, page.find("</script>", from) - from));
  }
  void expect_refusal(const std::vector<std::string>& flags, int exit_code, const std::string& words) const {
    const Outcome outcome = report(flags);
    EXPECT_EQ(outcome.exit_code, exit_code) << words << outcome.out;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-report")) << outcome.err;
    EXPECT_THAT(outcome.err, testing::HasSubstr(words));
    EXPECT_FALSE(std::filesystem::exists(page_));
  }
  void expect_sweep_refusal(const json& sweep, const std::string& words) const {
    write_text(sweep_, sweep.dump());
    expect_refusal({"--sweep", sweep_}, 1, words);
  }

  static inline std::unique_ptr<TemporaryFolder> recording_;
  TemporaryFolder folder_;
  std::string run_ = folder_ / "run", store_ = folder_ / "run/dynamics.tdds", page_ = folder_ / "report.html",
              sweep_ = folder_ / "sweep.json";
};

}  // namespace tdds::test
