// tdds-train --score: the real program's scores against tdds-score's, through kills and early stops.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/io/dynamics_store.h"
#include "tests/apps/program.h"

namespace tdds::test {
namespace {

// 120 images, 16 channels at most: a tenth of a second per epoch.
std::vector<std::string> tiny(const std::string& folder, int epochs, const std::vector<std::string>& more) {
  std::vector<std::string> args{
      "--dataset",       "shapes",  "--shapes_train", "120", "--shapes_test", "20",
      "--width",         "0.03125", "--batch-size",   "40",  "--epochs",      std::to_string(epochs),
      "--learning_rate", "0.02",    "--threads",      "1",   "--save_path",   folder};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

std::vector<std::string> files_in(const std::string& folder, const std::string& extension) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == extension) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void expect_same_npy(const std::string& a, const std::string& b) {
  const auto names = files_in(a, ".npy");
  EXPECT_FALSE(names.empty());
  EXPECT_EQ(names, files_in(b, ".npy"));
  for (const std::string& name : names)
    EXPECT_TRUE(read_text(fmt::format("{}/{}", a, name)) == read_text(fmt::format("{}/{}", b, name))) << name;
}

std::vector<nlohmann::json> metrics_of(const std::string& folder) {
  std::ifstream file(folder + "/metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

const char* const kMethods = "tdds,random,entropy,el2n,forgetting,aum,dyn_unc";

TEST(OnlineScoresTest, AreTheFilesOfTddsScore) {
  const TemporaryFolder run, masks;
  const Outcome outcome = run_tool("tdds-train", tiny(run.str(), 6,
                                                      {"--score", kMethods, "--trajectory_len", "4,6",
                                                       "--window_size", "3,5", "--method_window", "3"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("T=4 J=5 is left out"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("score_win5_ep6.npy"), std::string::npos) << outcome.out;
  ASSERT_EQ(
      run_tool("tdds-score", {"--dynamics_path", run.str(), "--mask_path", masks.str(), "--method", kMethods,
                              "--trajectory_len", "4,6", "--window_size", "3,5", "--method_window", "3"})
          .exit_code,
      0);
  expect_same_npy(run / "masks", masks.str());
  const auto about = nlohmann::json::parse(read_text(run / "masks/score_win3_ep4.json"));
  EXPECT_EQ(about.at("dataset"), "shapes");
  EXPECT_EQ(about.at("trajectory_len"), 4);

  const auto metrics = metrics_of(run.str());
  ASSERT_EQ(metrics.size(), 6u);
  EXPECT_FALSE(metrics[0].contains("score_correlation"));
  EXPECT_EQ(metrics[1].at("score_correlation").at("random"), 1.0);
  EXPECT_FALSE(metrics[2].at("score_correlation").contains("tdds_win3"));
  const double correlation = metrics[4].at("score_correlation").at("tdds_win3");
  EXPECT_TRUE(correlation > -1 && correlation < 1) << correlation;
  EXPECT_NE(read_text(run / "log.txt").find("rank correlation to the epoch before: "), std::string::npos);
}

TEST(OnlineScoresTest, KeepTheirBitsThroughAKill) {
  const TemporaryFolder whole, killed;
  const std::vector<std::string> score{"--score", kMethods, "--window_size", "3", "--method_window", "2"};
  ASSERT_EQ(run_tool("tdds-train", tiny(whole.str(), 5, score)).exit_code, 0);
  for (int i = 0; i < 40; ++i) {
    auto args = tiny(killed.str(), 5, score);
    args.push_back("--resume");
    if (run_tool("tdds-train", args, {.kill_after_ms = 100 + 150 * i}).exit_code == 0) break;
  }
  auto args = tiny(killed.str(), 5, score);
  args.push_back("--resume");
  ASSERT_EQ(run_tool("tdds-train", args).exit_code, 0);
  expect_same_npy(whole / "masks", killed / "masks");
  const auto expected = metrics_of(whole.str()), actual = metrics_of(killed.str());
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 1; i < expected.size(); ++i)
    EXPECT_EQ(actual[i].at("score_correlation"), expected[i].at("score_correlation")) << i;
  // T follows the epochs, so only the files of the last one remain.
  EXPECT_EQ(files_in(whole / "masks", ".npy").size(), 2 * 7u);
  EXPECT_TRUE(std::filesystem::exists(whole / "masks/score_win3_ep5.npy"));
}

TEST(OnlineScoresTest, FeaturesGiveGrandAndModerate) {
  const TemporaryFolder run, masks, other;
  ASSERT_EQ(
      run_tool("tdds-train",
               tiny(run.str(), 4, {"--dynamics_features", "--score", "grand,tdds_kl", "--window_size", "3"}))
          .exit_code,
      0);
  const auto score = [&](const std::string& methods) {
    return run_tool("tdds-score", {"--dynamics_path", run.str(), "--mask_path", masks.str(), "--method",
                                   methods, "--trajectory_len", "4", "--window_size", "3"});
  };
  ASSERT_EQ(score("grand,tdds_kl").exit_code, 0);
  expect_same_npy(run / "masks", masks.str());
  const Outcome moderate = score("moderate");
  ASSERT_EQ(moderate.exit_code, 0) << moderate.err;
  EXPECT_NE(moderate.out.find("moderate (features after 4 epochs): scores -59.5 to -0.5"), std::string::npos)
      << moderate.out;
  // Another run's features do not belong beside these dynamics.
  ASSERT_EQ(
      run_tool("tdds-train", tiny(other.str(), 1, {"--dynamics_features", "--manualSeed", "7"})).exit_code,
      0);
  std::filesystem::copy_file(other / "features.safetensors", run / "features.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  const Outcome mixed = score("moderate");
  EXPECT_EQ(mixed.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(mixed.err, "tdds-score")) << mixed.err;
  EXPECT_NE(mixed.err.find("give both from one run"), std::string::npos) << mixed.err;
  // Nor those of a run of the same data and seed that was shorter.
  ASSERT_EQ(run_tool("tdds-train", tiny(other.str(), 2, {"--dynamics_features", "--overwrite"})).exit_code,
            0);
  std::filesystem::copy_file(other / "features.safetensors", run / "features.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  const Outcome shorter = score("moderate");
  EXPECT_EQ(shorter.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(shorter.err, "tdds-score")) << shorter.err;
  EXPECT_NE(shorter.err.find("after 2 epochs, but the dynamics beside it are of 4"), std::string::npos)
      << shorter.err;
}

TEST(OnlineScoresTest, TheKlAloneTakesFourBytesPerSampleAndEpoch) {
  const TemporaryFolder run;
  ASSERT_EQ(run_tool("tdds-train",
                     tiny(run.str(), 4, {"--dynamics_fields", "kl", "--score", "tdds", "--window_size", "3"}))
                .exit_code,
            0);
  // 64 bytes around each epoch; 120 floats end at a multiple of 32.
  const DynamicsReader store(run / "dynamics.tdds");
  EXPECT_EQ(store.header().fields, std::vector<DynamicsField>{DynamicsField::kAbsKl});
  EXPECT_LT(std::filesystem::file_size(run / "dynamics.tdds"), 4 * (120 * 4 + 96) + 1200);
}

TEST(OnlineScoresTest, AStoreOfAnotherRunIsNotContinued) {
  const TemporaryFolder run, other;
  const std::vector<std::string> score{"--score", "el2n"};
  const auto stopped = [](std::vector<std::string> args) {
    args.insert(args.end(), {"--stop_after_epoch", "1"});
    return run_tool("tdds-train", args).exit_code;
  };
  ASSERT_EQ(stopped(tiny(run.str(), 3, score)), 0);
  ASSERT_EQ(stopped(tiny(other.str(), 3, {"--score", "el2n", "--manualSeed", "7"})), 0);
  std::filesystem::copy_file(other / "dynamics.tdds", run / "dynamics.tdds",
                             std::filesystem::copy_options::overwrite_existing);
  const Outcome mixed = run_tool("tdds-train", tiny(run.str(), 3, {"--score", "el2n", "--resume"}));
  EXPECT_EQ(mixed.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(mixed.err, "tdds-train")) << mixed.err;
  EXPECT_NE(mixed.err.find("was recorded with another"), std::string::npos) << mixed.err;
}

// As many samples, but other images. The mask itself does not show this.
TEST(OnlineScoresTest, ScoresOfOtherDataAreNotTrainedOn) {
  const TemporaryFolder run, other, subset;
  ASSERT_EQ(
      run_tool("tdds-train", tiny(run.str(), 3, {"--score", "tdds,el2n", "--window_size", "3"})).exit_code,
      0);
  const auto train_on = [&](const std::string& stem, const std::vector<std::string>& more) {
    auto args = tiny(
        subset.str(), 1,
        {"--subset_rate", "0.5", "--overwrite", "--mask_path", run / ("masks/data_mask_" + stem + ".npy")});
    args.insert(args.end(), more.begin(), more.end());
    return run_tool("tdds-train-subset", args);
  };
  EXPECT_EQ(train_on("win3_ep3", {"--score_path", run / "masks/score_win3_ep3.npy"}).exit_code, 0);
  EXPECT_EQ(train_on("el2n", {"--no_score_weighting"}).exit_code, 0);
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--score_path", run / "masks/score_el2n.npy"}, {"--no_score_weighting"}}) {
    auto with_other_data = more;
    with_other_data.insert(with_other_data.end(), {"--manualSeed", "7"});
    const Outcome mixed = train_on("el2n", with_other_data);
    EXPECT_EQ(mixed.exit_code, 1);
    EXPECT_TRUE(is_one_sentence(mixed.err, "tdds-train-subset")) << mixed.err;
    EXPECT_NE(mixed.err.find("the scores are of other data"), std::string::npos) << mixed.err;
  }
  for (const char* rate : {"-0.1", "1", "1.5", "nan"}) {
    const Outcome outcome = train_on("el2n", {"--no_score_weighting", "--subset_rate", rate});
    EXPECT_EQ(outcome.exit_code, 2) << rate;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train-subset")) << outcome.err;
  }
}

// T follows the epochs, so files are replaced, but never those of another run.
TEST(OnlineScoresTest, LeaveTheFilesOfAnotherRunAlone) {
  const TemporaryFolder run, other, masks;
  const std::vector<std::string> score{"--score", "tdds", "--window_size", "3", "--mask_path", masks.str()};
  ASSERT_EQ(run_tool("tdds-train", tiny(run.str(), 4, score)).exit_code, 0);
  const std::vector<std::string> files{"data_mask_win3_ep4.npy", "score_win3_ep4.npy"};
  EXPECT_EQ(files_in(masks.str(), ".npy"), files);
  const std::string scores = read_text(masks / "score_win3_ep4.npy");
  const Outcome shared = run_tool("tdds-train", tiny(other.str(), 6, score));
  EXPECT_EQ(shared.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(shared.err, "tdds-train")) << shared.err;
  EXPECT_NE(shared.err.find("score_win3_ep4.npy belongs to another run"), std::string::npos) << shared.err;
  EXPECT_EQ(read_text(masks / "score_win3_ep4.npy"), scores);
  // Files beyond its own last epoch do not conflict and do not change.
  EXPECT_EQ(run_tool("tdds-train", tiny(other.str(), 3, score)).exit_code, 0);
  EXPECT_EQ(read_text(masks / "score_win3_ep4.npy"), scores);
  std::filesystem::remove(masks / "score_win3_ep3.npy");
  std::filesystem::remove(masks / "data_mask_win3_ep3.npy");
  // The run itself may write them again, from any folder.
  auto again = tiny(run.str() + "/../" + std::filesystem::path(run.str()).filename().string(), 4, score);
  again.push_back("--overwrite");
  const Outcome same = run_tool("tdds-train", again);
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(files_in(masks.str(), ".npy"), files);
}

TEST(OnlineScoresTest, EndTheRunOnceTheyHaveSettled) {
  const TemporaryFolder run;
  // The order of random never changes: settled after its second, third, ... epoch.
  const auto args =
      tiny(run.str(), 9, {"--score", "random", "--stop_when_stable", "1", "--stable_epochs", "2"});
  const Outcome outcome = run_tool("tdds-train", args);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("the scores have settled: the run ends after epoch 3 of 9"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(metrics_of(run.str()).size(), 3u);
  EXPECT_TRUE(std::filesystem::exists(run / "result.json"));
  // A settled run that is resumed ends at once.
  auto again = args;
  again.push_back("--resume");
  EXPECT_EQ(run_tool("tdds-train", again).exit_code, 0);
  EXPECT_EQ(metrics_of(run.str()).size(), 3u);
}

TEST(OnlineScoresTest, RefuseInvalidFlags) {
  const TemporaryFolder run;
  const auto expect = [&](const std::vector<std::string>& flags, const std::string& words) {
    const Outcome outcome = run_tool("tdds-train", tiny(run.str(), 6, flags));
    EXPECT_EQ(outcome.exit_code, 2) << words;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  };
  expect({"--score", "el2n,el3n"}, "there is no method 'el3n'");
  expect({"--score", "grand"}, "--dynamics_features records it");
  expect({"--score", "el2n", "--dynamics_fields", "kl"}, "el2n needs 'el2n', which this run does not record");
  expect({"--score", "moderate"}, "run tdds-score --method moderate");
  expect({"--dynamics_fields", "kl,karma"}, "--dynamics_fields is 'karma'; choose kl, true_kl");
  expect({"--score", "el2n,el2n"}, "--score names el2n twice");
  expect({"--score", "el2n", "--method_epochs", "-5"}, "--method_epochs is -5");
  expect({"--score", "el2n", "--method_window", "1"}, "--method_window is 1");
  expect({"--corrupt_fraction", "0.5"}, "--corrupt");
  expect({"--score", "tdds", "--window_size", "10"}, "the window must fit into the trajectory");
  expect({"--score", "tdds", "--trajectory_len", "7", "--window_size", "3"}, "--trajectory_len is 7");
  expect({"--score", "tdds", "--window_size", "2"}, "--window_size is 2");
  expect({"--score", "dyn_unc"}, "dyn_unc needs 10 epochs, but gets 6");
  expect({"--score", "tdds", "--score_decay", "2"}, "--score_decay is 2");
  expect({"--stop_when_stable", "0.9"}, "--stop_when_stable needs --score");
  expect({"--score", "el2n", "--stop_when_stable", "1.5"}, "--stop_when_stable is 1.5");
  expect({"--score", "el2n", "--stop_when_stable", "0.9", "--stable_epochs", "0"}, "--stable_epochs is 0");
  expect({"--score", "tdds", "--stop_when_stable", "0.9", "--trajectory_len", "5"}, "contradict each other");
}

}  // namespace
}  // namespace tdds::test
