// A sweep that continues elsewhere, from its record and its scores alone.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/io/files.h"
#include "tests/apps/sweep/tiny_sweep.h"

namespace tdds::test {
namespace {

using testing::HasSubstr;

class SweepMoveProgramTest : public testing::Test {
 protected:
  // A finished sweep, and a copy of its small files from which all trainings on subsets but one are missing.
  void SetUp() override {
    const Outcome outcome = run_tool("tdds-sweep", args(whole_));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    std::filesystem::create_directories(moved_ / "seed1/all");
    std::filesystem::copy(whole_ / "seed1/scores", moved_ / "seed1/scores");
    Json record = json_of(whole_ / "sweep.json");
    ASSERT_EQ(record.at("runs").size(), 4u);
    record["runs"].erase(record["runs"].begin() + 1, record["runs"].end());
    write_file_atomically(moved_ / "sweep.json", record.dump());
  }

  static std::vector<std::string> args(const TemporaryFolder& folder,
                                       const std::string& methods = "tdds,random") {
    return with(data_and_net(folder.str()), {"--methods", methods, "--rates", "0.5,0.7", "--seeds", "1"});
  }

  void expect_refusal(const std::string& sentence, const std::string& methods = "tdds,random") {
    const Outcome outcome = run_tool("tdds-sweep", args(moved_, methods));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, HasSubstr(sentence));
  }

  std::string scores(const char* ending) const {
    return moved_ / (std::string("seed1/scores/score_") + ending);
  }

  TemporaryFolder whole_, moved_;
};

TEST_F(SweepMoveProgramTest, EndsInTheSameTables) {
  const Outcome outcome = run_tool("tdds-sweep", args(moved_));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* table : {"table.csv", "table.md"})
    EXPECT_EQ(read_text(whole_ / table), read_text(moved_ / table)) << table;
  EXPECT_EQ(read_text(whole_ / "seed1/random_0.7/ids.txt"), read_text(moved_ / "seed1/random_0.7/ids.txt"));
  EXPECT_EQ(json_of(whole_ / "seed1/tdds_0.7/selection.json"),
            json_of(moved_ / "seed1/tdds_0.7/selection.json"));
}

TEST_F(SweepMoveProgramTest, RefusesScoresOfAnotherSeed) {
  Json about = json_of(scores("random.json"));
  about["training_seed"] = 2;
  write_file_atomically(scores("random.json"), about.dump());
  expect_refusal("score_random.json is of another score or seed: its \"training_seed\" is not 1; restore it");
}

TEST_F(SweepMoveProgramTest, RefusesScoresOfOtherImages) {
  Json about = json_of(scores("random.json"));
  about["fingerprint"] = std::string(64, '0');
  write_file_atomically(scores("random.json"), about.dump());
  expect_refusal("score_random.json says that the scores are of other data");
}

TEST_F(SweepMoveProgramTest, NamesWhatIsGone) {
  std::filesystem::remove(scores("random.json"));
  expect_refusal("seed1/all/dynamics.tdds and ");
}

TEST_F(SweepMoveProgramTest, ASelectionThatNeedsTheRecordingIsRefused) {
  expect_refusal("the selection balanced needs the recording", "tdds,random,random+balanced");
}

}  // namespace
}  // namespace tdds::test
