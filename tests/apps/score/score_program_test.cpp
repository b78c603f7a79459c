// tdds-score end to end: the real program on recorded dynamics, good and bad.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/apps/recorded_dynamics.h"

namespace tdds::test {
namespace {

class ScoreProgramTest : public RecordedDynamicsTest {};

TEST_F(ScoreProgramTest, MatchesTheOfficialFormula) {
  const Outcome outcome = score({"--dynamics_path", npy_, "--trajectory_len", "12", "--window-size", "5"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("T=12 J=5"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("the highest scores are kept"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("share that is pruned"), std::string::npos) << outcome.out;

  const auto mask = read_npy_i64(mask_file(5, 12));
  const auto scores = read_npy_f32(score_file(5, 12));
  const Row expected = reference_scores(reference_series(recorded()), 12, 5, 0.9L);
  ASSERT_EQ(mask.size(), expected.size());
  EXPECT_TRUE(std::is_sorted(scores.begin(), scores.end()));
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const auto exact = static_cast<double>(expected[static_cast<std::size_t>(mask[i])]);
    EXPECT_NEAR(scores[i], exact, 1e-5 * exact);
  }
}

TEST_F(ScoreProgramTest, UsesOfficialDefaultsAndAcceptsEveryPathOfTheDynamics) {
  ASSERT_EQ(score({"--dynamics_path", npy_}).exit_code, 0);
  const std::string mask = read_text(mask_file(10, 10)), scores = read_text(score_file(10, 10));
  for (const std::string& path : {npy_ + "/", folder_ / "run", folder_ / "run/"}) {
    std::filesystem::remove_all(masks_);
    ASSERT_EQ(score({"--dynamics_path", path}).exit_code, 0) << path;
    EXPECT_EQ(read_text(mask_file(10, 10)), mask);
    EXPECT_EQ(read_text(score_file(10, 10)), scores);
  }
  // With a store beside the files, the run's folder means the store; the scores and the order agree.
  write_store(folder_ / "run/dynamics.tdds");
  const Outcome outcome = score({"--dynamics_path", folder_ / "run"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("dynamics.tdds: 200 samples, 12 epochs of shapes, seed 7"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(read_text(mask_file(10, 10)), mask);
  // The official command line names npy/, which need not have been written.
  std::filesystem::remove_all(npy_);
  EXPECT_EQ(score({"--dynamics_path", npy_ + "/"}).exit_code, 0);
  EXPECT_EQ(score({"--dynamics_path", folder_ / "run/dynamics.tdds"}).exit_code, 0);
}

TEST_F(ScoreProgramTest, ListsGiveAMaskForEachPairThatFits) {
  const Outcome outcome =
      score({"--dynamics_path", npy_, "--trajectory_len", "4,12", "--window_size", "3,5", "--threads", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("T=4 J=5 is left out"), std::string::npos) << outcome.out;
  EXPECT_FALSE(std::filesystem::exists(mask_file(5, 4)));
  const std::string together = read_text(score_file(3, 4)) + read_text(score_file(5, 12));
  std::filesystem::remove_all(masks_);
  score({"--dynamics_path", npy_, "--trajectory_len", "4", "--window_size", "3"});
  score({"--dynamics_path", npy_, "--trajectory_len", "12", "--window_size", "5"});
  EXPECT_EQ(read_text(score_file(3, 4)) + read_text(score_file(5, 12)), together);
}

TEST_F(ScoreProgramTest, RejectsInvalidSettings) {
  expect_refusal({"--window_size", "2"}, 2, "--window_size is 2");
  expect_refusal({"--window_size", "0"}, 2, "--window_size is 0");
  expect_refusal({"--trajectory_len", "5"}, 2, "the window must fit into the trajectory");
  expect_refusal({"--trajectory_len", "13"}, 2, "holds 12 epochs");
  expect_refusal({"--trajectory_len", "4,5"}, 2, "no pair of --trajectory_len and --window_size");
  expect_refusal({"--decay", "1.5"}, 2, "--decay is 1.5");
  expect_refusal({"--trajectory_len", "ten"}, 2, "--trajectory_len");
  expect_refusal({"--gpu", "1"}, 2, "--gpu 1 chooses a GPU");
  expect_refusal({"--device", "tpu"}, 2, "--device is 'tpu'; choose cpu, simt or cuda");
  expect_refusal({"--threads", "-1"}, 2, "--threads is -1");
  expect_refusal({"--windowsize", "5"}, 2, "there is no flag --windowsize");
}

TEST_F(ScoreProgramTest, RefusesBadFiles) {
  const std::string output = npy_ + "/3_Output.npy", index = npy_ + "/3_Index.npy";
  const std::string good_output = read_text(output), good_index = read_text(index);
  const auto expect = [&](const std::string& words) {
    expect_refusal({}, 1, words);
    write_text(output, good_output);
    write_text(index, good_index);
  };
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  };
  write_text(output, replaced(good_output, "<f4", ">f4"));
  expect("3_Output.npy is big-endian");
  write_text(output, replaced(good_output, "<f4", "<i4"));
  expect("3_Output.npy holds numbers of type '<i4'");
  write_text(output, replaced(good_output, "False", "True "));
  expect("Fortran order");
  write_text(output, good_output.substr(0, 50));
  expect("3_Output.npy is truncated within its header");
  write_text(output, good_output.substr(0, good_output.size() - 4));
  expect("3_Output.npy is truncated: its shape [200, 10]");
  write_text(output, replaced(good_output, "(200, 10)", "(100, 20)"));
  expect("3_Output.npy has shape [100, 20], but epoch 0 has [200, 10]");
  std::filesystem::remove(output);
  expect("3_Output.npy is missing");
  std::filesystem::remove(index);
  expect("3_Index.npy cannot be read");
  auto twice = ids(3);
  twice[0] = twice[1];
  write_epoch(npy_, 3, ids(3));
  write_npy(index, twice, {kSamples});
  expect(fmt::format("3_Index.npy holds the sample id {} twice", twice[1]));
  for (int epoch = 0; epoch < kEpochs; ++epoch)
    std::filesystem::remove(fmt::format("{}/{}_Output.npy", npy_, epoch));
  expect_refusal({}, 1, "holds neither dynamics.tdds nor <epoch>_Output.npy");
  std::filesystem::remove_all(folder_ / "run");
  expect_refusal({}, 1, "does not exist");
}

// Each run scores whole epochs or prints one sentence. It never crashes or gives a wrong score.
TEST_F(ScoreProgramTest, SurvivesAStoreCutAtAnyByteAndAnyFlippedBit) {
  const std::string path = folder_ / "run/dynamics.tdds";
  write_store(path);
  const std::string whole = read_text(path);
  const auto run = [&](const std::string& bytes) {
    write_text(path, bytes);
    return score({"--dynamics_path", path, "--trajectory_len", "4", "--window_size", "3"});
  };
  ASSERT_EQ(run(whole).exit_code, 0);
  const std::string expected = read_text(score_file(3, 4));
  for (std::size_t length = 0; length < whole.size(); length += whole.size() / 23 + 1) {
    std::filesystem::remove(score_file(3, 4));
    const Outcome outcome = run(whole.substr(0, length));
    if (outcome.exit_code == 0) {
      EXPECT_EQ(read_text(score_file(3, 4)), expected);
      continue;
    }
    EXPECT_TRUE(outcome.exit_code == 1 || outcome.exit_code == 2) << length;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
  }
  for (std::size_t at = 3; at < whole.size(); at += at < 200 ? 37 : whole.size() / 19) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
    const Outcome outcome = run(flipped);
    EXPECT_EQ(outcome.exit_code, 1) << at;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
  }
}

TEST_F(ScoreProgramTest, RefusesADamagedStoreAndLeavesOutATornEnd) {
  const std::string path = folder_ / "run/dynamics.tdds";
  write_store(path);
  const std::string whole = read_text(path);
  const auto run = [&](const std::string& bytes) {
    write_text(path, bytes);
    return score({"--dynamics_path", path});
  };
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 16;
  const Outcome damaged = run(flipped);
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(damaged.err, "tdds-score")) << damaged.err;
  EXPECT_NE(damaged.err.find("its checksum is wrong"), std::string::npos) << damaged.err;

  const Outcome torn = run(whole.substr(0, whole.size() - 100));
  EXPECT_EQ(torn.exit_code, 0) << torn.err;
  EXPECT_NE(torn.out.find("the record of epoch 11 was never finished"), std::string::npos) << torn.out;
  const Outcome half = run(whole.substr(0, whole.size() / 2));
  EXPECT_EQ(half.exit_code, 2);
  EXPECT_NE(half.err.find("epochs; train longer or ask for less"), std::string::npos) << half.err;
  EXPECT_EQ(run(whole.substr(0, 100)).exit_code, 1);
}

// At every size at which the disk is full. The mask, which is written first, is also the largest file.
TEST_F(ScoreProgramTest, AFullDiskLosesNothing) {
  ASSERT_EQ(score({"--dynamics_path", npy_}).exit_code, 0);
  const std::string mask = read_text(mask_file(10, 10)), scores = read_text(score_file(10, 10));
  for (const std::size_t bytes : {std::size_t{400}, scores.size() - 1, scores.size() + 1, mask.size() - 1}) {
    const Outcome outcome =
        score({"--dynamics_path", npy_, "--decay", "0.5"}, {.file_bytes = static_cast<long>(bytes)});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    EXPECT_NE(outcome.err.find(mask_file(10, 10)), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("the file-size limit is reached"), std::string::npos) << outcome.err;
    EXPECT_TRUE(read_text(mask_file(10, 10)) == mask) << bytes;
    EXPECT_TRUE(read_text(score_file(10, 10)) == scores) << bytes;
    for (const auto& entry : std::filesystem::directory_iterator(masks_))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
}

TEST_F(ScoreProgramTest, AnUnwritableFolderIsNamed) {
  write_text(folder_ / "in_the_way", "");
  const Outcome outcome =
      run_tool("tdds-score", {"--dynamics_path", npy_, "--mask_path", folder_ / "in_the_way/masks"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("in_the_way"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace tdds::test
