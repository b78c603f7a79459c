// Training in several processes: equal results from one start to the next, and no process that is left.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/io/npy.h"
#include "kernels/runtime/isa.h"
#include "tests/apps/ranks.h"
#include "tests/apps/tiny_run.h"
#include "tests/apps/train/folder_run.h"

namespace tdds::test {
namespace {

using testing::HasSubstr;
using RanksProgramTest = OnRanks<testing::Test>;
using RanksFolderTest = OnRanks<FolderTest>;

// 202 images in steps of 50: the last step has 2, so of 4 ranks two have none of it.
std::vector<std::string> small(const std::string& folder, int ranks, int epochs = 3) {
  return with(tiny(folder, epochs), {"--shapes_train", "202", "--dynamics", "--dynamics_npy", "--device",
                                     "cpu", "--ngpu", std::to_string(ranks)});
}

std::vector<std::int64_t> order_of(const std::string& folder, int epoch) {
  return read_npy_i64(fmt::format("{}/npy/{}_Index.npy", folder, epoch));
}

void expect_equal_runs(const std::string& a, const std::string& b) {
  EXPECT_TRUE(model_bytes(a) == model_bytes(b));
  EXPECT_TRUE(read_text(a + "/dynamics.tdds") == read_text(b + "/dynamics.tdds"));
  EXPECT_EQ(metrics_but_times(a), metrics_but_times(b));
}

TEST_F(RanksProgramTest, VisitAsOneProcessAndRepeatBitForBit) {
  const TemporaryFolder one;
  ASSERT_EQ(run_tool("tdds-train", small(one.str(), 1)).exit_code, 0);
  for (const int ranks : {2, 4}) {
    const TemporaryFolder a, b;
    const Outcome outcome = run_tool("tdds-train", small(a.str(), ranks));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr(fmt::format("{} ranks on 1 machine", ranks)));
    EXPECT_THAT(outcome.out, HasSubstr("each with 1 CPU thread"));
    for (int epoch = 0; epoch < 3; ++epoch) EXPECT_EQ(order_of(one.str(), epoch), order_of(a.str(), epoch));
    ASSERT_EQ(run_tool("tdds-train", small(b.str(), ranks)).exit_code, 0);
    expect_equal_runs(a.str(), b.str());
  }
}

// mpirun -n 1 is no rank, and writes what a plain run writes.
TEST_F(RanksProgramTest, OneRankIsAPlainRun) {
  const TemporaryFolder plain, one;
  ASSERT_EQ(run_tool("tdds-train", small(plain.str(), 1)).exit_code, 0);
  std::string command = "mpirun -n 1 " + program_path("tdds-train");
  for (const std::string& argument : small(one.str(), 1)) command += " " + argument;
  ASSERT_EQ(std::system((command + " >" + (one / "out")).c_str()), 0);
  expect_equal_runs(plain.str(), one.str());
}

TEST_F(RanksProgramTest, SubsetsPartsScoresAndFeaturesRun) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& program, const std::string& name,
                       const std::vector<std::string>& flags) {
    const std::vector<std::string> all = with(small(folder / name, 3, 2), flags);
    std::vector<std::string> given;
    for (const std::string& flag : all)
      if (program == "tdds-train" || flag.find("--dynamics") == std::string::npos) given.push_back(flag);
    const Outcome outcome = run_tool(program, given);
    EXPECT_EQ(outcome.exit_code, 0) << name << ": " << outcome.err;
  };
  run("tdds-train", "parts", {"--accumulate", "2"});
  run("tdds-train", "scored", {"--score", "el2n", "--stop_when_stable", "0.99"});
  run("tdds-train", "features", {"--dynamics_features"});
  run("tdds-train-subset", "random", {"--random_subset", "--subset_rate", "0.5"});
  for (const char* name : {"parts", "scored", "features", "random"})
    EXPECT_TRUE(std::filesystem::exists(folder / (std::string(name) + "/result.json"))) << name;
}

// With a cache, one rank decodes, and the others map what it wrote. Wherever the images are, the bits are
// equal.
TEST_F(RanksFolderTest, ImagesAreSharedThroughTheCache) {
  write_images();
  const auto run = [&](const std::string& name, const std::vector<std::string>& more) {
    const Outcome outcome = run_tool(
        "tdds-train",
        with(with(flags(), {"--dynamics", "--device", "cpu", "--ngpu", "3", "--save_path", folder_ / name}),
             more));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string cache = folder_ / "cache";
  EXPECT_THAT(run("decoded", {}), HasSubstr("each decodes all images, which --cache_dir avoids"));
  EXPECT_THAT(run("cached", {"--cache_dir", cache}), testing::Not(HasSubstr("each decodes")));
  run("on_the_disk", {"--cache_dir", cache, "--data_memory", "1e-9"});
  expect_equal_runs(folder_ / "decoded", folder_ / "cached");
  // Its recording names the images by their files, not by their pixels.
  EXPECT_TRUE(model_bytes(folder_ / "decoded") == model_bytes(folder_ / "on_the_disk"));
  EXPECT_EQ(metrics_but_times(folder_ / "decoded"), metrics_but_times(folder_ / "on_the_disk"));
}

TEST_F(RanksProgramTest, ResumeAtTheSameNumberIsExactAndAtAnotherIsSaid) {
  const TemporaryFolder whole, folder;
  ASSERT_EQ(run_tool("tdds-train", small(whole.str(), 2)).exit_code, 0);
  const Outcome stopped = run_tool("tdds-train", with(small(folder.str(), 2), {"--stop_after_epoch", "1"}));
  EXPECT_THAT(stopped.err, HasSubstr("tdds-train: stopped in epoch 2 of 3"));
  const TemporaryFolder other;
  std::filesystem::copy(folder.str(), other / "run", std::filesystem::copy_options::recursive);
  ASSERT_EQ(run_tool("tdds-train", with(small(folder.str(), 2), {"--resume"})).exit_code, 0);
  expect_equal_runs(whole.str(), folder.str());
  const Outcome three = run_tool("tdds-train", with(small(other / "run", 3), {"--resume"}));
  EXPECT_EQ(three.exit_code, 0) << three.err;
  EXPECT_THAT(three.out, HasSubstr("was made by 2 rank(s), and this run has 3"));
}

// A signal to the launcher reaches rank 0 as a request to save.
TEST_F(RanksProgramTest, AnInterruptedRunIsSavedAndResumesExactly) {
  const TemporaryFolder whole, folder;
  const std::vector<std::string> flags = small(folder.str(), 2, 8);
  ASSERT_EQ(run_tool("tdds-train", small(whole.str(), 2, 8)).exit_code, 0);
  Limits limits;
  limits.interrupt_when = [&] {
    return std::filesystem::exists(folder / "metrics.jsonl") && !read_text(folder / "metrics.jsonl").empty();
  };
  const Outcome stopped = run_tool("tdds-train", flags, limits);
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("tdds-train: stopped in epoch"));
  EXPECT_TRUE(all_ended(folder.str()));
  ASSERT_EQ(run_tool("tdds-train", with(flags, {"--resume"})).exit_code, 0);
  expect_equal_runs(whole.str(), folder.str());
}

// The lines of the program itself, without those of mpirun.
std::vector<std::string> sentences(const std::string& err) {
  std::vector<std::string> found;
  std::istringstream lines(err);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("tdds-train")) found.push_back(line);
  return found;
}

// A launcher or a user may signal one rank alone: all of them save, and end with its code.
TEST_F(RanksProgramTest, ASignalToAnyOneRankStopsAllOfThem) {
  for (const int rank : {0, 1}) {
    const TemporaryFolder folder;
    bool sent = false;
    Limits limits;
    limits.interrupt_when = [&] {
      if (sent || !std::filesystem::exists(folder / "metrics.jsonl")) return false;
      for (const auto& [one, process] : ranks_with(folder.str()))
        if (one == rank && kill(process, SIGUSR1) == 0) sent = true;
      return false;
    };
    const Outcome stopped = run_tool("tdds-train", small(folder.str(), 2, 8), limits);
    EXPECT_EQ(stopped.exit_code, 128 + SIGUSR1) << rank << ": " << stopped.err;
    EXPECT_EQ(sentences(stopped.err).size(), 1u) << rank << ": " << stopped.err;
    EXPECT_TRUE(all_ended(folder.str()));
    EXPECT_TRUE(std::filesystem::exists(folder / "checkpoint.safetensors"));
  }
}

// Any rank may be lost at any time: the others end within seconds, the last checkpoint is good, and the
// resumed run ends with the same bits.
TEST_F(RanksProgramTest, ALostRankEndsAllAndTheRunResumesExactly) {
  constexpr int kKills = 10, kRanks = 3, kEpochs = 30;
  const TemporaryFolder whole, folder;
  const auto flags = [&](const TemporaryFolder& to) {
    return with(small(to.str(), kRanks, kEpochs), {"--checkpoint_minutes", "0", "--print_freq", "0"});
  };
  ASSERT_EQ(run_tool("tdds-train", flags(whole)).exit_code, 0);
  std::mt19937 random(1);
  int killed = 0;
  for (int start = 0; start < kKills; ++start) {
    const int rank = static_cast<int>(random() % kRanks);
    const auto after = std::chrono::milliseconds(random() % 1200);
    const auto begin = std::chrono::steady_clock::now();
    bool done = false;
    Limits limits;
    limits.interrupt_when = [&] {
      if (done || std::chrono::steady_clock::now() - begin < after) return false;
      for (const auto& [one, process] : ranks_with(folder.str()))
        if (one == rank && kill(process, SIGKILL) == 0) done = true;
      return false;
    };
    const Outcome outcome = run_tool("tdds-train", with(flags(folder), {"--resume"}), limits);
    EXPECT_EQ(outcome.exit_code != 0, done) << "start " << start << ": " << outcome.err;
    EXPECT_TRUE(all_ended(folder.str())) << "start " << start;
    killed += done ? 1 : 0;
  }
  EXPECT_GE(killed, 3) << "of " << kKills;
  const Outcome last = run_tool("tdds-train", with(flags(folder), {"--resume"}));
  ASSERT_EQ(last.exit_code, 0) << last.err;
  expect_equal_runs(whole.str(), folder.str());
}

// Runs two ranks, of which the second has flags and an environment of its own. Not by mpirun's colon, at
// which Debian 13's crashes.
std::vector<std::string> sentences_of_pair(const TemporaryFolder& folder,
                                           const std::vector<std::string>& flags,
                                           const std::string& environment = "") {
  const auto command_of = [&](const std::vector<std::string>& more) {
    std::string text = program_path("tdds-train");
    for (const std::string& argument : with(small(folder / "run", 1), more)) text += " " + argument;
    return text;
  };
  const std::string script =
      fmt::format("case ${{OMPI_COMM_WORLD_RANK-$PMI_RANK}} in 1) {} {};; *) {};; esac", environment,
                  command_of(flags), command_of({}));
  const std::string command =
      fmt::format("mpirun -n 2 sh -c '{}' >{} 2>{}", script, folder / "out", folder / "err");
  EXPECT_NE(std::system(command.c_str()), 0);
  return sentences(read_text(folder / "err"));
}

TEST_F(RanksProgramTest, AnErrorOnOneRankIsOneSentence) {
  const TemporaryFolder folder;
  const std::vector<std::string> absent =
      sentences_of_pair(folder, {"--dataset", "folder", "--data_path", folder / "absent"});
  ASSERT_EQ(absent.size(), 1u) << read_text(folder / "err");
  EXPECT_THAT(absent[0], testing::StartsWith("tdds-train, rank 1: "));
  EXPECT_THAT(absent[0], HasSubstr("absent"));
}

TEST_F(RanksProgramTest, OtherDataOrFlagsOnARankAreRefused) {
  for (const std::vector<std::string>& other : {std::vector<std::string>{"--shapes_train", "203"},
                                                {"--learning_rate", "0.04"},
                                                {"--width", "0.0625"}}) {
    const TemporaryFolder folder;
    const std::vector<std::string> refused = sentences_of_pair(folder, other);
    ASSERT_EQ(refused.size(), 1u) << read_text(folder / "err");
    EXPECT_THAT(refused[0], testing::StartsWith("tdds-train: rank 0 has '"));
    EXPECT_THAT(refused[0], HasSubstr("and rank 1 has '"));
    EXPECT_FALSE(std::filesystem::exists(folder / "run/checkpoint.safetensors"));
  }
}

// Equal bits need equal instructions.
TEST_F(RanksProgramTest, AnotherCpuOnARankIsRefused) {
  if (std::string(cpu::isa_name()) == "generic") GTEST_SKIP() << "this CPU has only one kind of instructions";
  const TemporaryFolder folder;
  const std::vector<std::string> refused = sentences_of_pair(folder, {}, "TDDS_CPU_ISA=generic");
  ASSERT_EQ(refused.size(), 1u) << read_text(folder / "err");
  EXPECT_THAT(refused[0], testing::StartsWith("tdds-train: rank 0 has 'CPU instructions"));
  EXPECT_THAT(refused[0], HasSubstr(": generic', but"));
}

TEST_F(RanksProgramTest, WhatAllRanksRefuseIsSaidOnce) {
  const TemporaryFolder folder;
  const Outcome batch = run_tool("tdds-train", with(small(folder.str(), 4), {"--batch-size", "9"}));
  EXPECT_EQ(sentences(batch.err).size(), 1u) << batch.err;
  EXPECT_THAT(batch.err, HasSubstr("4 ranks cannot share a batch of 9 images"));
  EXPECT_THAT(batch.err, HasSubstr("--batch_size"));
  EXPECT_EQ(batch.exit_code, 2);
  const Outcome data = run_tool("tdds-train", {"--dataset", "cifar10", "--data_path", folder / "absent",
                                               "--save_path", folder / "run", "--ngpu", "2"});
  EXPECT_EQ(sentences(data.err).size(), 1u) << data.err;
  EXPECT_EQ(data.exit_code, 1);
}

}  // namespace
}  // namespace tdds::test
