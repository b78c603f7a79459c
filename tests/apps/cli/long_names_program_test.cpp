// Paths that are too long for a file system: one sentence names the path and the problem, without internals.

#include <gtest/gtest.h>

#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

class LongNamesTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::string> run = with(tiny(run_), {"--dynamics"});
    ASSERT_EQ(run_tool("tdds-train", run).exit_code, 0);
    ASSERT_EQ(run_tool("tdds-score", score(masks_)).exit_code, 0);
  }
  std::vector<std::string> score(const std::string& masks) const {
    return {"--dynamics_path", run_, "--mask_path", masks, "--trajectory_len", "3", "--window_size", "3"};
  }
  std::vector<std::string> subset() const {
    return with(tiny(folder_ / "subset", 1), {"--mask_path", masks_ + "/data_mask_win3_ep3.npy",
                                              "--score_path", masks_ + "/score_win3_ep3.npy"});
  }
  std::vector<std::string> sweep() const {
    return with(tiny(folder_ / "sweep", 3), {"--methods", "random", "--rates", "0.5", "--seeds", "1"});
  }
  std::vector<std::string> report() const {
    return {"--dynamics_path", run_, "--output", folder_ / "report.html"};
  }

  // A name longer than NAME_MAX, and a path longer than PATH_MAX.
  void expect_refused(const std::string& program, const std::vector<std::string>& args,
                      const char* flag) const {
    std::string deep = folder_.str();
    for (int i = 0; i < 50; ++i) deep += "/" + std::string(100, 'd');
    for (const std::string& path : {folder_ / std::string(300, 'x'), deep}) {
      SCOPED_TRACE(program + " " + flag + (path == deep ? ", deep" : ""));
      const Outcome outcome = run_tool(program, with(args, {flag, path}));
      EXPECT_TRUE(outcome.exit_code == 1 || outcome.exit_code == 2) << outcome.exit_code;
      EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
      const std::string first =
          path.substr(0, folder_.str().size() + 100);  // the error may name a parent folder
      EXPECT_NE(outcome.err.find(first), std::string::npos) << outcome.err;
      EXPECT_NE(outcome.err.find("the name is too long; choose a shorter one"), std::string::npos)
          << outcome.err;
      for (const char* raw : {"filesystem error", "File name too long", "what()", "basic_string"})
        EXPECT_EQ(outcome.err.find(raw), std::string::npos) << outcome.err;
    }
  }

  TemporaryFolder folder_;
  const std::string run_ = folder_ / "run", masks_ = folder_ / "masks";
};

TEST_F(LongNamesTest, TrainRejectsThem) {
  const std::vector<std::string> train = tiny(folder_ / "new", 1);
  expect_refused("tdds-train", train, "--save_path");
  expect_refused("tdds-train", with(train, {"--resume"}), "--save_path");
  expect_refused("tdds-train", with(train, {"--overwrite"}), "--save_path");
  expect_refused("tdds-train", with(train, {"--evaluate"}), "--save_path");
  expect_refused("tdds-train", train, "--init_weights");
  expect_refused("tdds-train", with(train, {"--epochs", "3", "--score", "tdds", "--window_size", "3"}),
                 "--mask_path");
  for (const char* dataset : {"cifar10", "folder", "npy"})
    expect_refused("tdds-train", with(train, {"--dataset", dataset}), "--data_path");
}

TEST_F(LongNamesTest, TrainSubsetRejectsThem) {
  for (const char* flag : {"--save_path", "--mask_path", "--score_path", "--init_weights"})
    expect_refused("tdds-train-subset", subset(), flag);
  expect_refused("tdds-train-subset", with(subset(), {"--no_score_weighting"}), "--mask_path");
}

TEST_F(LongNamesTest, ScoreRejectsThem) {
  expect_refused("tdds-score", score(masks_), "--dynamics_path");
  expect_refused("tdds-score", score(masks_), "--mask_path");
}

TEST_F(LongNamesTest, SweepRejectsThem) {
  expect_refused("tdds-sweep", sweep(), "--save_path");
  expect_refused("tdds-sweep", with(sweep(), {"--overwrite"}), "--save_path");
}

TEST_F(LongNamesTest, ReportRejectsThem) {
  for (const char* flag : {"--dynamics_path", "--output", "--sweep"})
    expect_refused("tdds-report", report(), flag);
}

}  // namespace
}  // namespace tdds::test
