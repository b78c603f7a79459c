// tdds-score end to end: the real program on recorded dynamics, good and bad.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/dynamics_store.h"
#include "engine/npy.h"
#include "tests/apps/program.h"
#include "tests/tdds/reference.h"

namespace tdds::test {
namespace {

constexpr int kEpochs = 12, kSamples = 200, kClasses = 10;

class ScoreProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int epoch = 0; epoch < kEpochs; ++epoch) write_epoch(epoch, ids(epoch));
  }
  const std::vector<std::int64_t>& ids(int epoch) const {
    return recorded_.ids[static_cast<std::size_t>(epoch)];
  }
  void write_epoch(int epoch, const std::vector<std::int64_t>& order) const {
    const std::vector<float> loss(order.size());
    write_official_epoch(npy_, epoch, loss, in_visiting_order(recorded_, epoch, order), kClasses, order);
  }
  void write_store(const std::string& path) const {
    DynamicsHeader header;
    header.samples = kSamples;
    header.classes = kClasses;
    header.dataset = "shapes";
    header.seed = 7;
    for (int i = 0; i < kSamples; ++i) header.labels.push_back(i % kClasses);
    const auto series = reference_series(recorded_);
    DynamicsWriter writer(path, header);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      EpochDynamics values(kSamples);
      if (epoch > 0) {
        const Row& d = series[static_cast<std::size_t>(epoch - 1)];
        values.kl.assign(d.begin(), d.end());
      }
      writer.append(epoch, values);
    }
  }

  Outcome score(std::vector<std::string> args, const Limits& limits = {}) const {
    args.insert(args.end(), {"--mask_path", masks_});
    std::fflush(nullptr);  // what this process has yet to print would count against the child's file size
    return run_tool("tdds-score", args, limits);
  }
  std::string mask_file(int j, int t) const {
    return fmt::format("{}/data_mask_win{}_ep{}.npy", masks_, j, t);
  }
  std::string score_file(int j, int t) const { return fmt::format("{}/score_win{}_ep{}.npy", masks_, j, t); }

  // Runs with these flags beside the recorded dynamics; expects one sentence with `words` and that exit code.
  void expect_refusal(const std::vector<std::string>& flags, int exit_code, const std::string& words) const {
    std::vector<std::string> args{"--dynamics_path", npy_};
    args.insert(args.end(), flags.begin(), flags.end());
    const Outcome outcome = score(args);
    EXPECT_EQ(outcome.exit_code, exit_code) << words;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(mask_file(10, 10)));
  }

  TempFolder folder_;
  std::string npy_ = folder_ / "run/npy", masks_ = folder_ / "masks";
  Recorded recorded_ = random_dynamics(kSamples, kClasses, kEpochs, 11);
};

TEST_F(ScoreProgramTest, WritesWhatTheOfficialFormulaGives) {
  const Outcome outcome = score({"--dynamics_path", npy_, "--trajectory_len", "12", "--window-size", "5"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("T=12 J=5"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("the highest scores are kept"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("share that is pruned"), std::string::npos) << outcome.out;

  const auto mask = read_npy_i64(mask_file(5, 12));
  const auto scores = read_npy_f32(score_file(5, 12));
  const Row expected = reference_scores(reference_series(recorded_), 12, 5, 0.9L);
  ASSERT_EQ(mask.size(), expected.size());
  EXPECT_TRUE(std::is_sorted(scores.begin(), scores.end()));
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const auto exact = static_cast<double>(expected[static_cast<std::size_t>(mask[i])]);
    EXPECT_NEAR(scores[i], exact, 1e-5 * exact);
  }
}

TEST_F(ScoreProgramTest, TakesTheOfficialDefaultsAndEveryPlaceOfTheDynamics) {
  ASSERT_EQ(score({"--dynamics_path", npy_}).exit_code, 0);
  const std::string mask = read_text(mask_file(10, 10)), scores = read_text(score_file(10, 10));
  for (const std::string& path : {npy_ + "/", folder_ / "run", folder_ / "run/"}) {
    std::filesystem::remove_all(masks_);
    ASSERT_EQ(score({"--dynamics_path", path}).exit_code, 0) << path;
    EXPECT_EQ(read_text(mask_file(10, 10)), mask);
    EXPECT_EQ(read_text(score_file(10, 10)), scores);
  }
  // With a store beside the files, the run's folder means the store; scores agree, the order too.
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

TEST_F(ScoreProgramTest, RefusesSettingsThatMakeNoSense) {
  expect_refusal({"--window_size", "2"}, 2, "--window_size is 2");
  expect_refusal({"--window_size", "0"}, 2, "--window_size is 0");
  expect_refusal({"--trajectory_len", "5"}, 2, "the window must fit into the trajectory");
  expect_refusal({"--trajectory_len", "13"}, 2, "holds 12 epochs");
  expect_refusal({"--trajectory_len", "4,5"}, 2, "no pair of --trajectory_len and --window_size");
  expect_refusal({"--decay", "1.5"}, 2, "--decay is 1.5");
  expect_refusal({"--trajectory_len", "ten"}, 2, "--trajectory_len");
  expect_refusal({"--device", "tpu"}, 2, "there is no device 'tpu'");
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
  expect("3_Output.npy has shape [100, 20] and epoch 0 has [200, 10]");
  std::filesystem::remove(output);
  expect("3_Output.npy is missing");
  std::filesystem::remove(index);
  expect("3_Index.npy cannot be read");
  auto twice = ids(3);
  twice[0] = twice[1];
  write_epoch(3, ids(3));
  write_npy(index, twice, {kSamples});
  expect(fmt::format("sample id {} twice and {} not at all", twice[1], ids(3)[0]));
  for (int epoch = 0; epoch < kEpochs; ++epoch)
    std::filesystem::remove(fmt::format("{}/{}_Output.npy", npy_, epoch));
  expect_refusal({}, 1, "holds neither dynamics.tdds nor <epoch>_Output.npy");
  std::filesystem::remove_all(folder_ / "run");
  expect_refusal({}, 1, "does not exist");
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

TEST_F(ScoreProgramTest, AFullDiskLosesNothing) {
  ASSERT_EQ(score({"--dynamics_path", npy_}).exit_code, 0);
  const std::string before = read_text(mask_file(10, 10));
  const Outcome outcome = score({"--dynamics_path", npy_, "--decay", "0.5"}, {.file_bytes = 1000});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("the file-size limit is reached"), std::string::npos) << outcome.err;
  EXPECT_EQ(read_text(mask_file(10, 10)), before);
  EXPECT_FALSE(std::filesystem::exists(mask_file(10, 10) + ".tmp"));
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
