// tdds-train and tdds-train-subset end to end, on drawn images and tiny networks.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/dynamics_store.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
#include "tdds/selection.h"
#include "tests/apps/program.h"

namespace tdds::test {
namespace {

std::vector<std::string> with(std::vector<std::string> args, const std::vector<std::string>& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

// 240 training images, 16 channels at most: a fraction of a second an epoch.
std::vector<std::string> tiny(const std::string& folder, int epochs = 3) {
  return {"--dataset",       "shapes",
          "--shapes_train",  "240",
          "--shapes_test",   "60",
          "--width",         "0.03125",
          "--arch",          "resnet18",
          "--batch-size",    "50",
          "--epochs",        std::to_string(epochs),
          "--learning_rate", "0.05",
          "--save_path",     folder};
}

std::string model_bytes(const std::string& folder) {
  const SafetensorsFile file(folder + "/model_last.safetensors");
  std::string all;
  for (const StoredTensor& tensor : file.tensors()) {
    std::string bytes(tensor.bytes, '\0');
    file.read(tensor, bytes.data());
    all += tensor.name + bytes;
  }
  return all;
}

TEST(TrainProgramTest, LeavesEverythingARunShouldLeave) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool("tdds-train", with(tiny(folder.str()), {"--dynamics_npy"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* name :
       {"log.txt", "metrics.jsonl", "curve.png", "result.json", "model_best.safetensors",
        "model_last.safetensors", "checkpoint.safetensors", "dynamics.tdds", "npy/2_Output.npy"})
    EXPECT_GT(std::filesystem::file_size(folder / name), 0u) << name;
  std::ifstream metrics(folder / "metrics.jsonl");
  std::string line;
  std::vector<double> losses;
  while (std::getline(metrics, line)) losses.push_back(nlohmann::json::parse(line).at("train_loss"));
  ASSERT_EQ(losses.size(), 3u);
  EXPECT_LT(losses[2], losses[0]);
  EXPECT_NE(read_text(folder / "log.txt").find("learning_rate"), std::string::npos);
  EXPECT_NE(outcome.out.find(" GB by plan, "), std::string::npos) << outcome.out;
  const DynamicsReader store(folder / "dynamics.tdds");
  EXPECT_EQ(store.epochs(), 3);
  EXPECT_EQ(store.samples(), 240);
}

// What the official script would have saved: types, shapes, visiting order, and the losses of these logits.
TEST(TrainProgramTest, NpyFilesAreTheOfficialOnes) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 2), {"--dynamics_npy"})).exit_code, 0);
  const DynamicsReader store(folder / "dynamics.tdds");
  const std::vector<std::int64_t> ids = read_npy_i64(folder / "npy/1_Index.npy");
  const std::vector<float> loss = read_npy_f32(folder / "npy/1_Loss.npy");
  const NpyReader logits(folder / "npy/1_Output.npy", DType::kF32, 2);
  ASSERT_EQ(ids.size(), 240u);
  ASSERT_EQ(loss.size(), 240u);
  EXPECT_EQ(logits.shape(), (std::vector<std::int64_t>{240, 10}));
  EXPECT_FALSE(std::is_sorted(ids.begin(), ids.end()));
  for (std::size_t v = 0; v < ids.size(); ++v) EXPECT_EQ(loss[v], store.loss(1)[ids[v]]);
}

TEST(TrainProgramTest, TwoRunsOfOneSeedAreBitwiseEqualAndAnotherSeedIsNot) {
  const TemporaryFolder a, b, c;
  ASSERT_EQ(run_tool("tdds-train", tiny(a.str(), 2)).exit_code, 0);
  ASSERT_EQ(run_tool("tdds-train", tiny(b.str(), 2)).exit_code, 0);
  ASSERT_EQ(run_tool("tdds-train", with(tiny(c.str(), 2), {"--manualSeed", "7"})).exit_code, 0);
  EXPECT_TRUE(model_bytes(a.str()) == model_bytes(b.str()));
  EXPECT_NE(model_bytes(a.str()), model_bytes(c.str()));
}

// Killed at whatever point 400 ms in: the checkpoint, if any, is whole, and the rest of the run makes up the
// difference.
TEST(TrainProgramTest, KilledAndResumedEqualsUninterrupted) {
  const TemporaryFolder whole, killed;
  const auto args = [&](const TemporaryFolder& folder) {
    return with(tiny(folder.str(), 6), {"--dynamics", "--checkpoint_minutes", "0"});
  };
  ASSERT_EQ(run_tool("tdds-train", args(whole)).exit_code, 0);
  for (int delay : {150, 300, 450})
    run_tool("tdds-train", with(args(killed), {"--resume"}), {.kill_after_ms = delay});
  const Outcome resumed = run_tool("tdds-train", with(args(killed), {"--resume"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(model_bytes(whole.str()) == model_bytes(killed.str()));
  EXPECT_TRUE(read_text(whole / "dynamics.tdds") == read_text(killed / "dynamics.tdds"));
}

TEST(TrainProgramTest, AnInterruptSavesAndSaysHowToGoOn) {
  const TemporaryFolder folder, whole;
  const Outcome stopped = run_tool("tdds-train", tiny(folder.str(), 400), {.interrupt_after_ms = 700});
  EXPECT_EQ(stopped.exit_code, 130);
  EXPECT_NE(stopped.err.find("--resume"), std::string::npos) << stopped.err;
  EXPECT_TRUE(std::filesystem::exists(folder / "checkpoint.safetensors"));
}

TEST(TrainProgramTest, ARunIsNotOverwrittenUnasked) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", tiny(folder.str(), 1)).exit_code, 0);
  const Outcome again = run_tool("tdds-train", tiny(folder.str(), 1));
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_TRUE(is_one_sentence(again.err, "tdds-train")) << again.err;
  EXPECT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 1), {"--overwrite"})).exit_code, 0);
}

TEST(TrainProgramTest, ResumingWithOtherOptionsIsRefused) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 3), {"--stop_after_epoch", "1"})).exit_code, 0);
  const Outcome other =
      run_tool("tdds-train", with(tiny(folder.str(), 3), {"--resume", "--momentum", "0.8"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("momentum"), std::string::npos) << other.err;
  EXPECT_TRUE(is_one_sentence(other.err, "tdds-train")) << other.err;
}

TEST(TrainProgramTest, WeightsGoOutAndComeBackIn) {
  const TemporaryFolder a, b;
  ASSERT_EQ(run_tool("tdds-train", tiny(a.str(), 2)).exit_code, 0);
  const Outcome evaluated = run_tool(
      "tdds-train", with(tiny(b.str(), 2), {"--evaluate", "--init_weights", a / "model_last.safetensors"}));
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const double last = nlohmann::json::parse(read_text(a / "result.json")).at("last_test_accuracy");
  EXPECT_NE(evaluated.out.find(fmt::format("accuracy {:.2f} %", 100 * last)), std::string::npos)
      << evaluated.out;
}

TEST(TrainProgramTest, TheBestEpochIsChosenByHeldOutImagesWhereThereAreAny) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 2), {"--val_fraction", "0.25"})).exit_code, 0);
  const auto result = nlohmann::json::parse(read_text(folder / "result.json"));
  EXPECT_EQ(result.at("chosen_by"), "held-out accuracy");
  EXPECT_EQ(result.at("run").at("samples"), "179");  // a quarter of each class, rounded
}

// The kernels of the GPU, executed on the CPU from a queue that runs at the latest moment: the whole program, and the
// scores of its dynamics, beside those of the device cpu.
TEST(TrainProgramTest, TheDeviceSimtTrainsEndToEnd) {
  const TemporaryFolder cpu, simt, masks;
  const auto args = [](const TemporaryFolder& folder, const std::string& device) {
    return with(tiny(folder.str(), 3), {"--device", device, "--dynamics", "--shapes_train", "50",
                                        "--shapes_test", "20", "--batch-size", "20"});
  };
  for (const auto& [folder, device] :
       {std::pair<const TemporaryFolder&, const char*>{cpu, "cpu"}, {simt, "simt"}}) {
    const Outcome outcome = run_tool("tdds-train", args(folder, device));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Outcome scored =
        run_tool("tdds-score", {"--dynamics_path", folder.str(), "--mask_path", masks / device, "--device",
                                device, "--trajectory_len", "3", "--window_size", "3"});
    ASSERT_EQ(scored.exit_code, 0) << scored.err;
  }
  const DynamicsReader of_cpu(cpu / "dynamics.tdds"), of_simt(simt / "dynamics.tdds");
  ASSERT_EQ(of_simt.epochs(), 3);
  // In batch norms over so few channels rounding grows by an order of magnitude a step: samples are compared in the
  // first three steps, and after them the means of the epochs.
  for (int i = 0; i < 50; ++i) EXPECT_NEAR(of_simt.loss(0)[i], of_cpu.loss(0)[i], 1e-3) << i;
  for (int epoch = 1; epoch < 3; ++epoch) {
    double difference = 0, sum = 0;
    for (int i = 0; i < 50; ++i) {
      difference += of_simt.loss(epoch)[i] - of_cpu.loss(epoch)[i];
      sum += of_cpu.loss(epoch)[i];
    }
    EXPECT_LT(std::abs(difference), 0.01 * sum) << epoch;
  }
  const std::vector<std::int64_t> ids = read_npy_i64(masks / "simt/data_mask_win3_ep3.npy");
  const std::vector<float> score = read_npy_f32(masks / "simt/score_win3_ep3.npy");
  EXPECT_TRUE(std::is_sorted(score.begin(), score.end()));
  EXPECT_NO_THROW(check_permutation(ids, "the mask"));
  // Interrupted and resumed, it ends with the same bits.
  const TemporaryFolder stopped;
  ASSERT_EQ(run_tool("tdds-train", with(args(stopped, "simt"), {"--stop_after_epoch", "1"})).exit_code, 0);
  ASSERT_EQ(run_tool("tdds-train", with(args(stopped, "simt"), {"--resume"})).exit_code, 0);
  EXPECT_TRUE(model_bytes(stopped.str()) == model_bytes(simt.str()));
}

// Immediate and deferred, waiting after each command or not: the same bits.
TEST(TrainProgramTest, DebugSyncChangesNoBit) {
  const TemporaryFolder plain, synced;
  ASSERT_EQ(run_tool("tdds-train", tiny(plain.str(), 2)).exit_code, 0);
  const Outcome outcome = run_tool("tdds-train", with(tiny(synced.str(), 2), {"--debug_sync"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(model_bytes(plain.str()) == model_bytes(synced.str()));
}

struct BadInput {
  const char* name;
  std::vector<std::string> args;
  int exit_code;
  const char* says;
};

class TrainBadInputTest : public testing::TestWithParam<BadInput> {};

TEST_P(TrainBadInputTest, IsOneSentenceThatNamesIt) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool("tdds-train", with(tiny(folder.str(), 1), GetParam().args));
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code) << outcome.err;
  EXPECT_NE(outcome.err.find(GetParam().says), std::string::npos) << outcome.err;
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(
    All, TrainBadInputTest,
    testing::Values(
        BadInput{"arch", {"--arch", "resnet19"}, 2, "resnet19"},
        BadInput{"dataset", {"--dataset", "mnist"}, 2, "mnist"},
        BadInput{"width", {"--width", "0.3"}, 2, "width"}, BadInput{"device", {"--device", "tpu"}, 2, "tpu"},
        BadInput{"precision", {"--device", "cpu", "--precision", "fp16"}, 2, "fp16"},
        BadInput{"conv_algo", {"--conv_algo", "fft"}, 2, "'fft'"},
        BadInput{"precision_word", {"--precision", "fp12"}, 2, "fp12"},
        BadInput{"ngpu", {"--ngpu", "4"}, 2, "--ngpu"},
        BadInput{"flag", {"--learnig_rate", "0.1"}, 2, "learnig"},
        BadInput{"number", {"--epochs", "many"}, 2, "many"},
        BadInput{"epochs", {"--epochs", "0"}, 2, "--epochs"},
        BadInput{"batch", {"--batch-size", "1"}, 2, "--batch-size"},
        BadInput{"data", {"--dataset", "cifar100", "--data_path", "/nonexistent"}, 1, "/nonexistent"},
        BadInput{"weights", {"--init_weights", "/nonexistent.safetensors"}, 1, "/nonexistent.safetensors"},
        BadInput{"folder", {"--save_path", "/proc/nothing/here"}, 1, "/proc/nothing"},
        BadInput{"loss", {"--learning_rate", "1e20"}, 1, "--learning_rate"}),
    [](const auto& test) { return test.param.name; });

// The disk fills up while saving: the sentence names the file, and what was saved before is whole.
TEST(TrainProgramTest, AFullDiskLosesNothingSaved) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 3), {"--stop_after_epoch", "1"})).exit_code, 0);
  const std::string before = read_text(folder / "checkpoint.safetensors");
  const Outcome full =
      run_tool("tdds-train", with(tiny(folder.str(), 3), {"--resume"}), {.file_bytes = 20000});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(full.err, "tdds-train")) << full.err;
  EXPECT_TRUE(read_text(folder / "checkpoint.safetensors") == before);
  EXPECT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 3), {"--resume"})).exit_code, 0);
}

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
