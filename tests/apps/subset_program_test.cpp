// tdds-train-subset end to end, on drawn images and tiny networks.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tdds/selection.h"
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

}  // namespace
}  // namespace tdds::test
