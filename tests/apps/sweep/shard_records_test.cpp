#include "apps/sweep/shard_records.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using testing::ElementsAre;

SweepRecord empty_record() {
  SweepRecord record;
  record.dataset = "shapes";
  record.settings = {{"methods", "tdds,random"}, {"rates", "0.7,0.5"}, {"seeds", "2,1"}};
  return record;
}

RunRecord run(const std::string& method, double rate, std::uint64_t seed, double accuracy = 50) {
  return {.method = method,
          .rate = rate,
          .seed = seed,
          .kept = 1,
          .epochs = 1,
          .steps = 1,
          .best_accuracy = accuracy,
          .last_accuracy = accuracy,
          .folder = "",
          .selection = ""};
}

std::vector<std::string> names(const SweepRecord& record) {
  std::vector<std::string> all;
  for (const RunRecord& each : record.runs)
    all.push_back(fmt::format("{} {} {}", each.seed, each.rate, each.method));
  return all;
}

TEST(ShardRecordsTest, AShardIsItsNumberAndTheirNumber) {
  EXPECT_EQ(parse_shard("0/1").count, 1);
  EXPECT_EQ(parse_shard("3/4").index, 3);
  EXPECT_EQ(parse_shard("12/100").index, 12);
  for (const char* wrong : {"", "1", "/", "1/", "/2", "-1/2", "1/-2", "+0/2", "a/b", "0/0", "0/2/3", " 0/2",
                            "0 /2", "0x0/2", "2/2", "5/2", "0/99999999999"})
    EXPECT_THROW(parse_shard(wrong), UsageError) << wrong;
  try {
    parse_shard("4/4");
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "--shard is 4/4; shards count from 0, so the last of 4 is 3/4");
  }
}

TEST(ShardRecordsTest, FilesAreListedByTheirNumbers) {
  const test::TemporaryFolder folder;
  for (const char* name : {"shard10.json", "shard2.json", "shard0.json", "sweep.json", "shard.json",
                           "shard-1.json", "shard1.json.tmp", "shardx.json", ".shard3.lock"})
    test::write_text(folder / name, "");
  std::vector<std::string> found;
  for (const auto& file : record_files(folder.path())) found.push_back(file.filename().string());
  EXPECT_THAT(found, ElementsAre("shard0.json", "shard2.json", "shard10.json", "sweep.json"));
  EXPECT_TRUE(record_files(folder / "absent").empty());
}

TEST(ShardRecordsTest, JoinedRunsAreInTheOrderOfThePlan) {
  SweepRecord first = empty_record(), second = empty_record(), third = empty_record();
  first.scoring_runs = {{1, "seed1/all", 10, 9}};
  first.runs = {run("random", 0.5, 1), run("random", 0.7, 2), run("tdds", 0.7, 2)};
  second.runs = {run("tdds", 0.5, 2)};
  second.scoring_runs = {{2, "seed2/all", 20, 19}};
  third.runs = {run("random", 0.7, 2, 99), run("random", 0.7, 1)};
  const SweepRecord all = joined({first, second, third});
  ASSERT_EQ(all.scoring_runs.size(), 2u);
  EXPECT_EQ(all.scoring_runs[0].seed, 2u);
  EXPECT_THAT(names(all),
              ElementsAre("2 0.7 tdds", "2 0.7 random", "2 0.5 tdds", "1 0.7 random", "1 0.5 random"));
  EXPECT_EQ(all.runs[1].best_accuracy, 50) << "the first record of a run counts";
  EXPECT_THAT(missing_runs(all), ElementsAre("seed2/random_0.5", "seed1/tdds_0.7", "seed1/tdds_0.5"));
  EXPECT_THAT(missing_runs(empty_record()), testing::SizeIs(10));
}

TEST(ShardRecordsTest, PlantedSamplesAreThoseOfTheFullestRecordOfASeed) {
  SweepRecord older = empty_record(), newer = empty_record();
  older.wrong_labels = {{"tdds", 1, "low", 3, 0.1, 0.1}, {"tdds", 2, "low", 3, 0.2, 0.2}};
  newer.wrong_labels = {{"tdds", 1, "low", 3, 0.1, 0.1}, {"random", 1, "low", 3, 0.3, 0.3}};
  const SweepRecord all = joined({older, newer});
  ASSERT_EQ(all.wrong_labels.size(), 3u);
  EXPECT_EQ(all.wrong_labels[0].seed, 2u);
  EXPECT_EQ(all.wrong_labels[2].method, "random");
  EXPECT_TRUE(all.corrupted.empty());
}

TEST(ShardRecordsTest, AllShardsHaveTheSameMethodsAndSeeds) {
  const SweepRecord mine = empty_record();
  EXPECT_TRUE(check_same_sweep(mine, mine, {}, "shard1.json").empty());
  for (const auto& [flag, value] :
       {std::pair{"methods", "tdds"}, {"seeds", "2,1,3"}, {"rates", "0.7,0.6"}, {"momentum", "0.8"}}) {
    SweepRecord other = mine;
    bool known = false;
    for (auto& setting : other.settings)
      if (setting.first == flag) known = !(setting.second = value).empty();
    SweepRecord now = mine;
    if (!known) {
      other.settings.emplace_back(flag, value);
      now.settings.emplace_back(flag, "0.9");
    }
    try {
      check_same_sweep(other, now, {}, "shard1.json");
      ADD_FAILURE() << flag;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::StartsWith(fmt::format("shard1.json was started with --{} {}, and "
                                                                "this command has ",
                                                                flag, value)));
    }
  }
}

}  // namespace
}  // namespace tdds
