// A sweep that several processes share: it ends in the record and tables of one process, byte for byte.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <random>
#include <set>

#include "engine/io/file_lock.h"
#include "tests/apps/sweep/tiny_sweep.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// 2 trainings on all samples and 8 on subsets.
std::vector<std::string> sweep_args(const std::string& folder) {
  return with(data_and_net(folder), {"--methods", "tdds,random", "--rates", "0.5,0.7", "--seeds", "1,2",
                                     "--checkpoint_minutes", "0"});
}

class ShardTest : public testing::Test {
 protected:
  // The same sweep by one process.
  static void SetUpTestSuite() {
    whole_ = new TemporaryFolder;
    const Outcome outcome = run_tool("tdds-sweep", sweep_args(whole_->str()));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  static void TearDownTestSuite() { delete whole_; }

  Outcome shard(const std::string& which, const std::vector<std::string>& more = {},
                const Limits& limits = {}) const {
    return run_tool("tdds-sweep", with(with(sweep_args(folder_.str()), {"--shard", which}), more), limits);
  }
  Outcome merge(const std::vector<std::string>& more = {}) const {
    return run_tool("tdds-sweep", with({"--merge", "--save_path", folder_.str()}, more));
  }
  void expect_merged_as_whole() const {
    const Outcome merged = merge();
    ASSERT_EQ(merged.exit_code, 0) << merged.err;
    for (const char* file : {"sweep.json", "table.md", "table.csv"})
      EXPECT_EQ(read_text(folder_ / file), read_text(*whole_ / file)) << file;
    EXPECT_THAT(merged.out, HasSubstr(read_text(*whole_ / "table.md")));
    const Json record = json_of(folder_ / "sweep.json");
    for (const Json& run : record.at("runs")) {
      const std::string ids = run.at("selection");
      EXPECT_EQ(read_text(folder_ / ids), read_text(*whole_ / ids));
      EXPECT_FALSE(fs::exists(fs::path(folder_ / ids).parent_path() / "checkpoint.safetensors"));
    }
    EXPECT_FALSE(fs::exists(folder_ / "shard0.json")) << "the folder is that of a sweep of one process";
  }
  void expect_refused(const Outcome& outcome, const std::string& says, int code = 1) const {
    EXPECT_EQ(outcome.exit_code, code) << outcome.out << outcome.err;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-sweep")) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(says));
  }
  // The folders of all runs that are in a shard's record.
  std::multiset<std::string> recorded(std::initializer_list<int> shards) const {
    std::multiset<std::string> folders;
    for (const int index : shards) {
      const Json record = json_of(folder_ / fmt::format("shard{}.json", index));
      for (const char* list : {"scoring_runs", "runs"})
        for (const Json& run : record.at(list)) folders.insert(run.at("folder").get<std::string>());
    }
    return folders;
  }

  static inline TemporaryFolder* whole_ = nullptr;
  TemporaryFolder folder_;
};

TEST_F(ShardTest, OneAfterTheOther) {
  const Outcome first = shard("0/2");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, AllOf(HasSubstr("shard 0/2: 10 of 10 runs are done"), HasSubstr("--merge")));
  EXPECT_FALSE(fs::exists(folder_ / "sweep.json"));
  const Outcome second = shard("1/2");
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.out, HasSubstr("10 are done"));
  EXPECT_TRUE(recorded({1}).empty());
  expect_merged_as_whole();
  expect_merged_as_whole();  // again, without anything to join
}

TEST_F(ShardTest, TwoAtOnceShareTheRuns) {
  auto first = std::async(std::launch::async, [&] { return shard("0/2"); });
  const Outcome second = shard("1/2"), other = first.get();
  ASSERT_EQ(second.exit_code, 0) << second.err;
  ASSERT_EQ(other.exit_code, 0) << other.err;
  const std::multiset<std::string> all = recorded({0, 1});
  EXPECT_EQ(all.size(), 10u);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 10u) << "each run is done once";
  for (const auto& entry : fs::directory_iterator(folder_.path()))
    EXPECT_NE(entry.path().extension(), ".lock") << entry.path();
  expect_merged_as_whole();
}

// Two of three are killed at random points and started again.
TEST_F(ShardTest, KilledShardsAreStartedAgain) {
  const auto restarted = [&](const std::string& which, unsigned seed) {
    std::mt19937 random(seed);
    int killed = 0;
    for (int start = 0; start < 6; ++start) {
      const int delay = start == 0 ? 20 : static_cast<int>(random() % 500);
      killed += shard(which, {}, {.kill_after_ms = delay}).exit_code == 128 + SIGKILL;
    }
    EXPECT_GT(killed, 0);
    return shard(which);
  };
  auto second = std::async(std::launch::async, restarted, "1/3", 1);
  auto third = std::async(std::launch::async, restarted, "2/3", 2);
  const Outcome first = shard("0/3");
  EXPECT_EQ(first.exit_code, 0) << first.err;
  for (const Outcome& outcome : {second.get(), third.get()}) EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(shard("0/3").exit_code, 0);  // what a killed shard left, if the first ended before
  expect_merged_as_whole();
}

// The test holds the lock of a training on all samples, as another shard would.
class WaitingShardTest : public ShardTest {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "seed1/all");
    held_ = std::make_unique<FileLock>(folder_ / "seed1/all/.lock");
    ASSERT_TRUE(held_->held());
  }
  bool waits() const { return read_text(out_).find("waiting for process") != std::string::npos; }

  std::unique_ptr<FileLock> held_;
  const std::string out_ = folder_ / "out";
};

TEST_F(WaitingShardTest, TakesOtherRunsMeanwhileAndSaysWhatItWaitsFor) {
  auto running = std::async(std::launch::async, [&] { return shard("0/2", {}, {.out = out_.c_str()}); });
  while (!waits() && running.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) continue;
  ASSERT_TRUE(waits()) << running.get().err;
  EXPECT_THAT(read_text(out_), HasSubstr(fmt::format("waiting for process {} on the host ", getpid())));
  EXPECT_THAT(read_text(out_), HasSubstr(", which trains seed1/all\n"));
  EXPECT_THAT(recorded({0}), testing::UnorderedElementsAre("seed2/all", "seed2/tdds_0.5", "seed2/random_0.5",
                                                           "seed2/tdds_0.7", "seed2/random_0.7"));
  EXPECT_THAT(merge().err, HasSubstr("wait until it has ended"));
  held_.reset();
  const Outcome outcome = running.get();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  expect_merged_as_whole();
}

TEST_F(WaitingShardTest, IsStoppedByASignal) {
  for (const int signal : {SIGINT, SIGUSR1}) {
    const Outcome stopped = shard(
        "0/1", {}, {.interrupt_when = [&] { return waits(); }, .interrupt = signal, .out = out_.c_str()});
    expect_refused(stopped, "stopped in run 6 of 10; run the same command again to continue", 128 + signal);
    write_text(out_, "");
  }
}

// The other shard died after its runs: nothing is left to take, and nothing is done twice.
TEST_F(WaitingShardTest, LeavesRunsToTheShardThatTrainsThem) {
  held_.reset();
  ASSERT_EQ(shard("0/2", {"--seeds", "1"}).exit_code, 0);
  Json record = json_of(folder_ / "shard0.json");
  record["runs"].erase(1);
  write_text(folder_ / "shard0.json", record.dump());
  const FileLock other(folder_ / "seed1/random_0.5/.lock");
  const Outcome outcome = shard("1/2", {"--seeds", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("4 of 5 runs are done, and other shards are at work on the rest"));
  expect_refused(merge(), "1 of the runs are missing: seed1/random_0.5;");
}

TEST_F(ShardTest, AShardOfAnotherSweepIsRefused) {
  const auto small = [&](const char* which, const std::vector<std::string>& more = {}) {
    return shard(which, with({"--seeds", "1", "--rates", "0.5"}, more));
  };
  ASSERT_EQ(small("0/2").exit_code, 0);
  const std::string before = read_text(folder_ / "shard0.json");
  const std::pair<const char*, const char*> changes[] = {
      {"--momentum", "0.8"}, {"--rates", "0.6"}, {"--methods", "tdds"}, {"--methods", "tdds,random,aum"},
      {"--seeds", "2"},      {"--seeds", "1,2"}, {"--budget", "steps"}, {"--shapes_train", "140"}};
  for (const auto& [flag, value] : changes)
    expect_refused(small("1/2", {flag, value}), folder_ / "shard0.json");
  expect_refused(small("1/2", {"--momentum", "0.8"}),
                 "was started with --momentum 0.9, and this command has 0.8");
  expect_refused(small("1/2", {"--seeds", "1,2"}), "was started with --seeds 1, and this command has 1,2");
  EXPECT_FALSE(fs::exists(folder_ / "shard1.json"));
  Json record = Json::parse(before);
  record["fingerprint"] = "0123456789abcdef";
  write_text(folder_ / "shard0.json", record.dump());
  expect_refused(small("1/2"), "shard0.json was made with another training set");
  write_text(folder_ / "shard0.json", before.substr(0, before.size() / 2));
  expect_refused(small("1/2"), "shard0.json is not a file that tdds-sweep wrote");
  write_text(folder_ / "shard0.json", before);
  expect_refused(merge({"--momentum", "0.8"}), "was started with --momentum 0.9");
  EXPECT_EQ(small("1/2", {"--threads", "1"}).exit_code, 0) << "changes no result";
}

TEST_F(ShardTest, WrongUsesAreRefused) {
  expect_refused(shard("2/2"), "shards count from 0", 2);
  expect_refused(shard("one"), "--shard is 'one'; give i/n", 2);
  expect_refused(shard("0/2", {"--overwrite"}), "--overwrite would remove what other shards have done", 2);
  expect_refused(shard("0/2", {"--merge"}), "leave --shard and --overwrite out", 2);
  expect_refused(merge(), "holds no record of a sweep");
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  {
    const FileLock twin(folder_ / ".shard0.lock");
    expect_refused(shard("0/2"), "is working on shard 0 of the sweep in");
  }
  {
    const FileLock sweep(folder_ / ".sweep.lock");
    expect_refused(shard("0/2"), "is working on the sweep in");
  }
  const ScopedVariable preload("LD_PRELOAD", preload_path("no_locks").c_str()),
      asan("ASAN_OPTIONS", "verify_asan_link_order=0");
  expect_refused(shard("0/2"), "has no locks");
}

TEST_F(ShardTest, AFolderOfShardsIsMergedBeforeASweepOfOneProcess) {
  const std::vector<std::string> one_seed{"--seeds", "1"};
  {
    const FileLock other(folder_ / ".sweep.lock", LockMode::kShared);
    expect_refused(run_tool("tdds-sweep", sweep_args(folder_.str())),
                   "or one that shares its lock is working on");
    ASSERT_EQ(shard("0/2", one_seed).exit_code, 0);
    expect_refused(merge(), "or one that shares its lock is working on");
  }
  expect_refused(run_tool("tdds-sweep", sweep_args(folder_.str())), "shard0.json is the record of a shard");
  ASSERT_EQ(merge().exit_code, 0);
  // Then seeds may be added, by shards or by one process.
  const Outcome more = shard("1/2");
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.out, HasSubstr("5 are done"));
  EXPECT_EQ(recorded({1}).size(), 5u);
  expect_merged_as_whole();
}

TEST_F(ShardTest, OverwritingRemovesShards) {
  ASSERT_EQ(shard("0/2", {"--seeds", "1,3"}).exit_code, 0);
  const Outcome outcome =
      run_tool("tdds-sweep", with(sweep_args(folder_.str()), {"--overwrite", "--seeds", "1"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(folder_ / "shard0.json"));
  EXPECT_FALSE(fs::exists(folder_ / "seed3"));
}

}  // namespace
}  // namespace tdds::test
