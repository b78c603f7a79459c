// A folder that holds a run is safe from an evaluation, a diverging run, and a resume of another run.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tdds/selection/selection.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

using testing::HasSubstr;

TEST(SavedRunTest, IsEvaluatedByItsBestEpochAndStaysUnchanged) {
  const TemporaryFolder run;
  ASSERT_EQ(run_tool("tdds-train", tiny(run.str(), 4)).exit_code, 0);
  const std::string metrics = read_text(run / "metrics.jsonl"),
                    checkpoint = read_text(run / "checkpoint.safetensors");
  const Outcome evaluated = run_tool("tdds-train", with(tiny(run.str(), 4), {"--evaluate"}));
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const double best = nlohmann::json::parse(read_text(run / "result.json")).at("best_test_accuracy");
  EXPECT_THAT(evaluated.out, HasSubstr(fmt::format("accuracy {:.2f} %", 100 * best)));
  EXPECT_THAT(evaluated.out, HasSubstr(run / "model_best.safetensors"));
  EXPECT_EQ(read_text(run / "metrics.jsonl"), metrics);
  EXPECT_TRUE(read_text(run / "checkpoint.safetensors") == checkpoint);
}

TEST(SavedRunTest, EvaluationNeedsARunOrWeights) {
  const TemporaryFolder empty;
  const Outcome outcome = run_tool("tdds-train", with(tiny(empty.str()), {"--evaluate"}));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--init_weights"));
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
}

bool all_finite(const std::string& path) {
  const SafetensorsFile file(path);
  for (const StoredTensor& tensor : file.tensors()) {
    if (tensor.dtype != DType::kF32) continue;
    std::vector<float> values(tensor.bytes / sizeof(float));
    file.read(tensor, values.data());
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) return false;
  }
  return true;
}

// One step per epoch, whose weight decay multiplies all weights by about -7. The training loss is still that
// of the earlier weights, so the test images are the first to show weights that are too large.
TEST(SavedRunTest, SurvivesADivergingStep) {
  const TemporaryFolder run;
  const std::vector<std::string> args = with(tiny(run.str(), 9), {"--batch-size", "240", "--learning_rate",
                                                                  "1", "--decay", "4", "--schedule", "step"});
  ASSERT_EQ(run_tool("tdds-train", with(args, {"--stop_after_epoch", "1"})).exit_code, 0);
  const Outcome diverged = run_tool("tdds-train", with(args, {"--resume"}));
  EXPECT_EQ(diverged.exit_code, 1);
  EXPECT_THAT(diverged.err, HasSubstr("outputs for the test images after epoch "));
  EXPECT_TRUE(is_one_sentence(diverged.err, "tdds-train")) << diverged.err;
  for (const char* name : {"checkpoint.safetensors", "model_best.safetensors", "model_last.safetensors"})
    EXPECT_TRUE(all_finite(run / name)) << name;
  // The saved run is intact: resumed, it diverges in the same way.
  EXPECT_EQ(run_tool("tdds-train", with(args, {"--resume"})).err, diverged.err);
}

RankingFiles scores_of(const TemporaryFolder& folder, int window, bool reversed) {
  std::vector<float> score(240);
  for (int i = 0; i < 240; ++i) score[i] = static_cast<float>(reversed ? 239 - i : i);
  RankingFiles files = official_ranking_files(folder.str(), window, 30);
  write_ranking(files, rank_by_score(score));
  return files;
}

TEST(SavedRunTest, IsNotResumedOnAnotherSubsetOfTheSameSize) {
  const TemporaryFolder masks, run;
  const auto args = [&](const RankingFiles& files) {
    return with(tiny(run.str(), 3),
                {"--subset_rate", "0.5", "--mask_path", files.mask, "--score_path", files.score});
  };
  const RankingFiles files = scores_of(masks, 10, false), reversed = scores_of(masks, 11, true);
  ASSERT_EQ(run_tool("tdds-train-subset", with(args(files), {"--stop_after_epoch", "1"})).exit_code, 0);
  const Outcome other = run_tool("tdds-train-subset", with(args(reversed), {"--resume"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("was made with subset '"));
  EXPECT_TRUE(is_one_sentence(other.err, "tdds-train-subset")) << other.err;
  EXPECT_EQ(run_tool("tdds-train-subset", with(args(files), {"--resume"})).exit_code, 0);
}

TEST(SavedRunTest, IsOnlyResumedWithTheSameOutputFiles) {
  using Flags = std::vector<std::string>;
  for (const auto& [first, second] : {std::pair<Flags, Flags>{{"--dynamics"}, {"--dynamics_npy"}},
                                      {{"--dynamics_npy"}, {"--dynamics", "--dynamics_npy=false"}}}) {
    const TemporaryFolder run;
    const std::vector<std::string> args = tiny(run.str(), 3);
    ASSERT_EQ(run_tool("tdds-train", with(with(args, first), {"--stop_after_epoch", "1"})).exit_code, 0);
    const Outcome other = run_tool("tdds-train", with(with(args, second), {"--resume"}));
    EXPECT_EQ(other.exit_code, 1);
    EXPECT_THAT(other.err, HasSubstr("was made with dynamics_npy '"));
  }
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  return names;
}

// A run that overwrites another and is killed before its first save leaves nothing of the earlier run that
// could be resumed or scored.
TEST(SavedRunTest, IsRemovedAsSoonAsItIsOverwritten) {
  const TemporaryFolder run;
  ASSERT_EQ(
      run_tool("tdds-train", with(tiny(run.str(), 1), {"--dynamics_npy", "--dynamics_features"})).exit_code,
      0);
  write_text(run / "npy/notes.txt", "mine");
  const auto begun = [&] { return std::filesystem::file_size(run / "metrics.jsonl") == 0; };
  const std::vector<std::string> args = with(tiny(run.str(), 1), {"--wrong_label_fraction", "0"});
  const Outcome killed = run_tool("tdds-train", with(args, {"--overwrite"}), {.kill_when = begun});
  ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << killed.err;
  const Outcome again = run_tool("tdds-train", with(args, {"--resume"}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("a new run starts"));
  EXPECT_THAT(names_in(run / "npy"), testing::ElementsAre("notes.txt"));
  EXPECT_THAT(names_in(run.str()),
              testing::Not(testing::Contains(testing::AnyOf("dynamics.tdds", "features.safetensors"))));
}

// This includes files of the official code, and a run whose checkpoint was deleted.
TEST(SavedRunTest, DynamicsAreNotOverwrittenUnasked) {
  const TemporaryFolder official, store;
  std::filesystem::create_directory(official / "npy");
  write_text(official / "npy/1_Loss.npy", "four gigabytes");
  write_text(store / "dynamics.tdds", "weeks");
  for (const TemporaryFolder* folder : {&official, &store}) {
    const Outcome refused = run_tool("tdds-train", with(tiny(folder->str(), 1), {"--dynamics_npy"}));
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr("--overwrite"));
    EXPECT_TRUE(is_one_sentence(refused.err, "tdds-train")) << refused.err;
  }
  EXPECT_EQ(read_text(official / "npy/1_Loss.npy"), "four gigabytes");
  EXPECT_EQ(read_text(store / "dynamics.tdds"), "weeks");
}

// Invalid commands are refused before the run in the folder changes.
TEST(SavedRunTest, IsNotOverwrittenByAnInvalidCommand) {
  const TemporaryFolder run;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(run.str(), 4), {"--dynamics"})).exit_code, 0);
  const std::string metrics = read_text(run / "metrics.jsonl"), store = read_text(run / "dynamics.tdds");
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{"--score", "tdds", "--trajectory_len", "9"},
        {"--momentum", "nan"},
        {"--manualSeed", "-1"},
        {"--init_weights", "/nonexistent"}}) {
    const Outcome outcome =
        run_tool("tdds-train", with(with(tiny(run.str(), 4), {"--dynamics", "--overwrite"}), bad));
    EXPECT_NE(outcome.exit_code, 0) << bad[0];
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
    EXPECT_EQ(read_text(run / "metrics.jsonl"), metrics) << bad[0];
    EXPECT_TRUE(read_text(run / "dynamics.tdds") == store) << bad[0];
  }
}

}  // namespace
}  // namespace tdds::test
