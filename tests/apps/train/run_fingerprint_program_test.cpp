// Which images a run and a sweep belong to: another test set is another run, and the same files are the same
// data in memory and on disk.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/engine/image_files.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

void expect_refused(const Outcome& outcome, const std::string& program, const char* says) {
  EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
  EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(says));
}

class RunFingerprintTest : public testing::Test {
 protected:
  RunFingerprintTest() {
    write_split("train", 8, 0);
    write_split("val", 4, 50);
  }
  void write_split(const std::string& split, int count, int seed) const {
    for (const std::string name : {"cat", "dog"})
      for (int i = 0; i < count; ++i) {
        const fs::path path = fs::path(data_) / split / name / (std::to_string(i) + ".png");
        fs::create_directories(path.parent_path());
        write_text(path, png_bytes(test_pixels(seed + i + (name == "dog" ? 100 : 0), 8, 8), 8, 8));
      }
  }
  std::vector<std::string> data() const {
    return {"--dataset", "folder", "--data_path",     data_,  "--image_size", "8", "--width", "0.03125",
            "--epochs",  "4",      "--learning_rate", "0.01", "--batch-size", "8"};
  }
  std::vector<std::string> train(const std::vector<std::string>& more) const {
    return with(with(data(), {"--dynamics", "--save_path", run_}), more);
  }
  std::vector<std::string> sweep(const std::vector<std::string>& more) const {
    return with(with(data(), {"--methods", "random", "--rates", "0.5", "--seeds", "1", "--subset_batch_size",
                              "4", "--save_path", sweep_}),
                more);
  }
  std::vector<std::string> on_disk() const {
    return {"--cache_dir", folder_ / "cache", "--data_memory", "1e-9"};
  }

  TemporaryFolder folder_;
  std::string data_ = folder_ / "data", run_ = folder_ / "run", sweep_ = folder_ / "sweep";
};

TEST_F(RunFingerprintTest, ARunIsNotResumedOnAnotherTestSet) {
  ASSERT_EQ(run_tool("tdds-train", train({"--stop_after_epoch", "2"})).exit_code, 0);
  write_split("val", 4, 60);
  expect_refused(run_tool("tdds-train", train({"--resume"})), "tdds-train", "another test set");
  write_split("val", 4, 50);
  const Outcome resumed = run_tool("tdds-train", train({"--resume"}));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

TEST_F(RunFingerprintTest, ASweepIsNotContinuedOnAnotherTestSet) {
  ASSERT_EQ(run_tool("tdds-sweep", sweep({})).exit_code, 0);
  write_split("val", 4, 60);
  expect_refused(run_tool("tdds-sweep", sweep({"--methods", "random,el2n"})), "tdds-sweep",
                 "another test set");
  write_split("val", 4, 50);
  write_split("train", 8, 1);
  expect_refused(run_tool("tdds-sweep", sweep({"--methods", "random,el2n"})), "tdds-sweep",
                 "another training set");
}

TEST_F(RunFingerprintTest, HeldOutImagesCountToo) {
  ASSERT_EQ(run_tool("tdds-train", train({"--val_fraction", "0.25", "--stop_after_epoch", "2"})).exit_code,
            0);
  const Outcome resumed = run_tool("tdds-train", train({"--resume"}));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("--val_fraction 0.25"));
}

TEST_F(RunFingerprintTest, OnTheDiskAndInMemoryAreTheSame) {
  for (const bool first_on_disk : {true, false}) {
    fs::remove_all(run_);
    fs::remove_all(sweep_);
    const auto first = first_on_disk ? on_disk() : std::vector<std::string>{};
    const auto second = first_on_disk ? std::vector<std::string>{} : on_disk();
    const std::vector<std::string> held_out{"--val_fraction", "0.25"};
    const Outcome begun =
        run_tool("tdds-train", with(train(with(held_out, {"--stop_after_epoch", "2"})), first));
    ASSERT_EQ(begun.exit_code, 0) << begun.err;
    const Outcome resumed = run_tool("tdds-train", with(train(with(held_out, {"--resume"})), second));
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_THAT(resumed.out, HasSubstr("resumed at epoch 2"));
    ASSERT_EQ(run_tool("tdds-sweep", with(sweep({}), first)).exit_code, 0);
    const Outcome more = run_tool("tdds-sweep", with(sweep({"--methods", "random,el2n"}), second));
    EXPECT_EQ(more.exit_code, 0) << more.err;
  }
}

// The same files at another size are other pixels.
TEST_F(RunFingerprintTest, AnotherImageSizeIsAnotherRun) {
  ASSERT_EQ(run_tool("tdds-train", train({"--crop_size", "8", "--stop_after_epoch", "2"})).exit_code, 0);
  const Outcome other = run_tool("tdds-train", train({"--image_size", "9", "--crop_size", "8", "--resume"}));
  expect_refused(other, "tdds-train", "another training set");
}

TEST(ShapesIdentityTest, AnotherNumberOfTestImagesIsAnotherTestSet) {
  const TemporaryFolder run, sweep;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(run.str(), 3), {"--stop_after_epoch", "1"})).exit_code, 0);
  expect_refused(run_tool("tdds-train", with(tiny(run.str(), 3), {"--resume", "--shapes_test", "61"})),
                 "tdds-train", "another test set");
}

// Flags that are not given keep their recorded values. A given flag that differs is refused.
TEST(ResumedFlagsTest, AreTheRecordedOnes) {
  const TemporaryFolder whole, run;
  const std::vector<std::string> more{"--dynamics", "--momentum", "0.8", "--no_augment", "--stem", "cifar"};
  ASSERT_EQ(run_tool("tdds-train", with(tiny(whole.str(), 3), more)).exit_code, 0);
  ASSERT_EQ(
      run_tool("tdds-train", with(with(tiny(run.str(), 3), more), {"--stop_after_epoch", "1"})).exit_code, 0);
  const Outcome other = run_tool("tdds-train", {"--save_path", run.str(), "--resume", "--momentum", "0.9"});
  expect_refused(other, "tdds-train", "was made with momentum '0.8', and this run has '0.9'");
  const Outcome resumed = run_tool("tdds-train", {"--save_path", run.str(), "--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, AllOf(HasSubstr("--momentum 0.8"), HasSubstr("--width 0.03125"),
                                 HasSubstr("--no_augment"), Not(HasSubstr("--stop_after_epoch"))));
  EXPECT_THAT(read_text(run / "log.txt"), HasSubstr("flags taken from the run in"));
  EXPECT_TRUE(model_bytes(whole.str()) == model_bytes(run.str()));
  EXPECT_TRUE(read_text(whole / "dynamics.tdds") == read_text(run / "dynamics.tdds"));
}

TEST(ResumedFlagsTest, IncludeThoseOfASubset) {
  const TemporaryFolder run;
  const std::vector<std::string> subset{"--random_subset", "--subset_rate", "0.5"};
  ASSERT_EQ(run_tool("tdds-train-subset", with(with(tiny(run.str(), 3), subset), {"--stop_after_epoch", "1"}))
                .exit_code,
            0);
  const Outcome resumed = run_tool("tdds-train-subset", {"--save_path", run.str(), "--resume"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("120 of 240 samples are kept"));
}

TEST(ResumedFlagsTest, ASweepContinuesFromItsFolderAlone) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str(), 3), {"--methods", "random", "--rates", "0.5", "--seeds", "1"});
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  const std::string before = read_text(folder / "sweep.json");
  EXPECT_EQ(nlohmann::json::parse(before).at("settings").at("device"), "cpu");
  EXPECT_EQ(nlohmann::json::parse(before).at("settings").at("stem"), "cifar") << "auto is stored resolved";
  const Outcome again = run_tool("tdds-sweep", {"--save_path", folder.str()});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, AllOf(HasSubstr("2 are done"), HasSubstr("--rates 0.5")));
  EXPECT_EQ(read_text(folder / "sweep.json"), before);
  const Outcome added = run_tool("tdds-sweep", {"--save_path", folder.str(), "--methods", "random,el2n"});
  EXPECT_EQ(added.exit_code, 0) << added.err;
}

}  // namespace
}  // namespace tdds::test
