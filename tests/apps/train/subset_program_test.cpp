// tdds-train-subset end to end, on drawn images and tiny networks.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "engine/io/npy.h"
#include "tdds/selection/selection.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

// Scores written as tdds-score writes them, for 240 samples.
RankingFiles write_scores(const TemporaryFolder& folder) {
  std::vector<float> score(240);
  for (int i = 0; i < 240; ++i) score[i] = static_cast<float>((i * 77) % 240);
  RankingFiles files = official_ranking_files(folder.str(), 10, 30);
  write_ranking(files, rank_by_score(score));
  return files;
}

TEST(TrainSubsetProgramTest, TrainsOnTheHighestScoresAndSaysWhatTheRateMeans) {
  const TemporaryFolder folder, run;
  const RankingFiles files = write_scores(folder);
  const Outcome outcome =
      run_tool("tdds-train-subset", with(tiny(run.str(), 2), {"--subset_rate", "0.7", "--mask_path",
                                                              files.mask, "--score_path", files.score}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("pruning rate 0.7: 72 of 240 samples are kept"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(read_text(run / "result.json")).at("run").at("samples"), "72");
}

TEST(TrainSubsetProgramTest, ARandomSubsetNeedsNoFiles) {
  const TemporaryFolder run;
  const Outcome outcome =
      run_tool("tdds-train-subset", with(tiny(run.str(), 1), {"--subset_rate", "0.5", "--random_subset"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(read_text(run / "result.json")).at("run").at("weighted"), "no");
}

TEST(TrainSubsetProgramTest, ReportsItsStepsAndWarnsIfTheyAreFew) {
  const TemporaryFolder run;
  const auto subset = [&](int epochs) {
    return run_tool("tdds-train-subset", with(tiny(run.str(), epochs),
                                              {"--subset_rate", "0.5", "--random_subset", "--overwrite"}));
  };
  const Outcome few = subset(66), enough = subset(67);
  ASSERT_EQ(few.exit_code + enough.exit_code, 0) << few.err << enough.err;
  EXPECT_NE(few.out.find("120 images in steps of 50: 3 steps an epoch, 198 in all"), std::string::npos)
      << few.out;
  EXPECT_NE(few.out.find("warning: 198 optimizer steps"), std::string::npos) << few.out;
  EXPECT_NE(enough.out.find("201 in all"), std::string::npos) << enough.out;
  EXPECT_EQ(enough.out.find("optimizer steps"), std::string::npos) << enough.out;
}

TEST(TrainSubsetProgramTest, AnEvaluationNeedsNoMask) {
  const TemporaryFolder run, folder;
  ASSERT_EQ(run_tool("tdds-train", tiny(run.str(), 1)).exit_code, 0);
  const Outcome evaluated = run_tool("tdds-train-subset", with(tiny(run.str(), 1), {"--evaluate"}));
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_NE(evaluated.out.find("accuracy"), std::string::npos) << evaluated.out;
  EXPECT_EQ(evaluated.out.find("not used"), std::string::npos) << evaluated.out;
  const Outcome given = run_tool("tdds-train-subset",
                                 with(tiny(run.str(), 1), {"--evaluate", "--mask_path", folder / "absent.npy",
                                                           "--score_path", folder / "absent.npy"}));
  ASSERT_EQ(given.exit_code, 0) << given.err;
  EXPECT_NE(given.out.find("not used: --mask_path, --score_path; --evaluate tests the weights as they are\n"),
            std::string::npos)
      << given.out;
}

TEST(TrainSubsetProgramTest, AMaskOfOtherDataIsRefused) {
  const TemporaryFolder folder, run;
  const RankingFiles files = write_scores(folder);
  const std::vector<std::string> mask{"--mask_path", files.mask, "--score_path", files.score};
  const Outcome other =
      run_tool("tdds-train-subset", with(with(tiny(run.str(), 1), mask), {"--shapes_train", "250"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(other.err, "tdds-train-subset")) << other.err;
  const Outcome rate =
      run_tool("tdds-train-subset", with(with(tiny(run.str(), 1), mask), {"--subset_rate", "1.5"}));
  EXPECT_EQ(rate.exit_code, 2);
  EXPECT_TRUE(is_one_sentence(rate.err, "tdds-train-subset")) << rate.err;
  const Outcome missing =
      run_tool("tdds-train-subset", with(tiny(run.str(), 1), {"--mask_path", files.mask}));
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.err.find("--no_score_weighting"), std::string::npos) << missing.err;
}

// A mask and scores of 240 samples, one of the files damaged.
class BadRankingTest : public testing::Test {
 protected:
  void SetUp() override {
    files_ = write_scores(folder_);
    ids_ = read_npy_i64(files_.mask);
    scores_ = read_npy_f32(files_.score);
  }
  void expect_refused(const std::string& file, const std::string& says,
                      const std::vector<std::string>& more = {}) const {
    const Outcome outcome = run_tool(
        "tdds-train-subset",
        with(with(tiny(folder_ / "run", 1), {"--mask_path", files_.mask, "--score_path", files_.score}),
             more));
    EXPECT_EQ(outcome.exit_code, 1) << says;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train-subset")) << outcome.err;
    EXPECT_NE(outcome.err.find(file), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run/log.txt")) << "no run is started";
  }
  void expect_mask_refused(const std::string& says) const {
    expect_refused(files_.mask, says);
    expect_refused(files_.mask, says, {"--no_score_weighting"});
  }
  void write_mask(const std::vector<std::int64_t>& ids) const {
    write_npy(files_.mask, ids, {static_cast<std::int64_t>(ids.size())});
  }
  void write_score(const std::vector<float>& scores) const {
    write_npy(files_.score, scores, {static_cast<std::int64_t>(scores.size())});
  }
  static void retype(const std::string& path, const std::string& from, const std::string& to) {
    std::string bytes = read_text(path);
    write_text(path, bytes.replace(bytes.find(from), from.size(), to));
  }

  TemporaryFolder folder_;
  RankingFiles files_;
  std::vector<std::int64_t> ids_;
  std::vector<float> scores_;
};

TEST_F(BadRankingTest, MasksAreNamed) {
  auto ids = ids_;
  ids[7] = ids[8];
  write_mask(ids);
  expect_mask_refused(fmt::format("the sample id {} twice and {} not at all", ids_[8], ids_[7]));
  ids[7] = 240;
  write_mask(ids);
  expect_mask_refused("the sample id 240; with 240 samples the ids are 0 to 239");
  ids[7] = -1;
  write_mask(ids);
  expect_mask_refused("the sample id -1");
  write_mask(ids_);
  retype(files_.mask, "<i8", "<i4");
  expect_mask_refused("'<i4'");
  write_mask(ids_);
  retype(files_.mask, "<i8", ">i8");
  expect_mask_refused("big-endian");
  write_mask(ids_);
  write_text(files_.mask, read_text(files_.mask).substr(0, 1000));
  expect_mask_refused("truncated");
  write_text(files_.mask, "no array");
  expect_mask_refused("");
  std::filesystem::remove(files_.mask);
  expect_mask_refused("cannot be read");
}

TEST_F(BadRankingTest, ScoresAreNamed) {
  auto scores = scores_;
  std::swap(scores[100], scores[150]);
  write_score(scores);
  expect_refused(files_.score, "is not in ascending order at position 101");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    scores = scores_;
    scores[239] = bad;
    write_score(scores);
    expect_refused(files_.score, "is not finite, at position 239");
  }
  scores = scores_;
  scores.pop_back();
  write_score(scores);
  expect_refused(files_.score, "239 scores");
  write_score(scores_);
  retype(files_.score, "<f4", "<f8");
  expect_refused(files_.score, "'<f8'");
  write_score(scores_);
  write_text(files_.score, read_text(files_.score).substr(0, 500));
  expect_refused(files_.score, "truncated");
  std::filesystem::remove(files_.score);
  expect_refused(files_.score, "cannot be read");
}

// Both files are valid, but hold fewer samples than the training set.
TEST_F(BadRankingTest, OfFewerSamplesAreNamed) {
  write_ranking(files_, rank_by_score(std::vector<float>{0.5f, 0.25f, 1}));
  expect_mask_refused("orders 3 samples, and the training set has 240");
}

}  // namespace
}  // namespace tdds::test
