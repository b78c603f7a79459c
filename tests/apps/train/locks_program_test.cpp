// Two processes and one folder: the second is refused, names the first, and changes nothing.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A training that runs until the test stops it.
class Background {
 public:
  Background(const std::string& program, const std::vector<std::string>& args, const std::string& first_file)
      : thread_([this, program, args] {
          outcome_ = run_tool(program, args, {.interrupt_when = [this] { return stop_.load(); }});
        }) {
    for (int wait = 0; wait < 6000 && !std::filesystem::exists(first_file); ++wait) usleep(10000);
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() { stop(); }
  Outcome stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return outcome_;
  }

 private:
  std::atomic<bool> stop_ = false;
  Outcome outcome_;
  std::thread thread_;
};

void expect_refused(const std::string& program, const std::vector<std::string>& args, const char* flag) {
  const Outcome refused = run_tool(program, args);
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_TRUE(is_one_sentence(refused.err, program)) << refused.err;
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("process "), HasSubstr(" on the host "), HasSubstr("wait"), HasSubstr(flag)));
}

std::vector<std::string> endless(const std::string& folder) {
  return with(tiny(folder, 100000), {"--dynamics", "--checkpoint_minutes", "0"});
}

TEST(RunLockTest, ASecondTrainingIsRefusedWithAnyFlags) {
  const TemporaryFolder folder;
  Background first("tdds-train", endless(folder.str()), folder / "model_best.safetensors");
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--manualSeed", "7"}, {"--overwrite"}, {"--resume"}})
    expect_refused("tdds-train", with(endless(folder.str()), more), "--save_path");
  // Readers need no lock.
  EXPECT_EQ(run_tool("tdds-train", with(tiny(folder.str()), {"--evaluate"})).exit_code, 0);
  const Outcome stopped = first.stop();
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_FALSE(std::filesystem::exists(folder / ".lock"));
  EXPECT_EQ(
      run_tool("tdds-train", with(endless(folder.str()), {"--resume", "--stop_after_epoch", "1"})).exit_code,
      0)
      << "the folder is free again";
}

TEST(RunLockTest, ASecondTrainingIsRefusedBeforeItsDataAreRead) {
  const TemporaryFolder folder;
  Background first("tdds-train", endless(folder.str()), folder / "log.txt");
  expect_refused("tdds-train",
                 {"--dataset", "folder", "--data_path", "/nowhere", "--save_path", folder.str()},
                 "--save_path");
}

TEST(RunLockTest, AKilledRunLeavesNothingToCleanUp) {
  const TemporaryFolder folder;
  const Outcome killed =
      run_tool("tdds-train", endless(folder.str()),
               {.kill_when = [&] { return std::filesystem::exists(folder / "checkpoint.safetensors"); }});
  ASSERT_EQ(killed.exit_code, 128 + SIGKILL);
  const Outcome next =
      run_tool("tdds-train", with(endless(folder.str()), {"--resume", "--stop_after_epoch", "1"}));
  EXPECT_EQ(next.exit_code, 0) << next.err;
}

TEST(RunLockTest, TrainingsOnASubsetAreKeptApartInTheDefaultFolder) {
  const TemporaryFolder folder;
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(folder.str());  // --save_path is ./checkpoint/pruned-dataset
  std::vector<std::string> args = tiny("", 100000);
  args.resize(args.size() - 2);
  args = with(args, {"--random_subset", "--subset_rate", "0.5"});
  {
    Background first("tdds-train-subset", args, folder / "checkpoint/pruned-dataset/log.txt");
    expect_refused("tdds-train-subset", with(args, {"--manualSeed", "7"}), "--save_path");
  }
  std::filesystem::current_path(before);
}

TEST(RunLockTest, OneSweepAtATimeAndNoTrainingInTheFolderOfItsRun) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str(), 100000), {"--methods", "random", "--rates", "0.5", "--seeds", "1",
                                                      "--checkpoint_minutes", "0"});
  Background first("tdds-sweep", args, folder / "seed1/all/checkpoint.safetensors");
  expect_refused("tdds-sweep", args, "--save_path");
  expect_refused("tdds-sweep", with(args, {"--overwrite"}), "--save_path");
  expect_refused("tdds-train", with(endless(folder / "seed1/all"), {"--overwrite"}), "--save_path");
}

TEST(RunLockTest, ASweepKeepsOutOfTheFolderOfALiveRun) {
  const TemporaryFolder folder;
  Background first("tdds-train", endless(folder / "seed1/all"), folder / "seed1/all/checkpoint.safetensors");
  expect_refused("tdds-sweep",
                 with(tiny(folder.str(), 3), {"--methods", "random", "--rates", "0.5", "--seeds", "1"}),
                 "--save_path");
  EXPECT_TRUE(std::filesystem::exists(folder / "seed1/all/checkpoint.safetensors"));
}

// A mask of one run and scores of the other would look like a pair.
TEST(RunLockTest, TwoRunsShareAFolderOfMasksButNoFileName) {
  const TemporaryFolder a, b, masks;
  const auto scoring = [&](const TemporaryFolder& run, int epochs, const char* method) {
    return with(tiny(run.str(), epochs), {"--score", method, "--mask_path", masks.str()});
  };
  Background first("tdds-train", scoring(a, 100000, "el2n"), masks / "score_el2n.npy");
  expect_refused("tdds-train", with(scoring(b, 3, "el2n"), {"--manualSeed", "7"}), "--mask_path");
  const Outcome other = run_tool("tdds-train", scoring(b, 3, "aum"));
  EXPECT_EQ(other.exit_code, 0) << other.err;
}

TEST(RunLockTest, WarnsAboutAFileSystemWithoutLocks) {
  const TemporaryFolder folder;
  const ScopedVariable preload("LD_PRELOAD", preload_path("no_locks").c_str()),
      asan("ASAN_OPTIONS", "verify_asan_link_order=0");
  const Outcome outcome = run_tool("tdds-train", tiny(folder.str(), 1));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("has no locks"));
  EXPECT_THAT(read_text(folder / "log.txt"), HasSubstr("has no locks"));
}

}  // namespace
}  // namespace tdds::test
