// tdds-train end to end, on drawn images and tiny networks.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/dynamics_store.h"
#include "engine/io/npy.h"
#include "tdds/selection/selection.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

TEST(TrainProgramTest, WritesEveryFileOfARun) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool("tdds-train", with(tiny(folder.str()), {"--dynamics_npy"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* name :
       {"log.txt", "metrics.jsonl", "curve.svg", "result.json", "model_best.safetensors",
        "model_last.safetensors", "checkpoint.safetensors", "dynamics.tdds", "npy/2_Output.npy"})
    EXPECT_GT(std::filesystem::file_size(folder / name), 0u) << name;
  std::ifstream metrics(folder / "metrics.jsonl");
  std::string line;
  std::vector<double> losses;
  while (std::getline(metrics, line)) losses.push_back(nlohmann::json::parse(line).at("train_loss"));
  ASSERT_EQ(losses.size(), 3u);
  EXPECT_LT(losses[2], losses[0]);
  EXPECT_NE(read_text(folder / "log.txt").find("learning_rate"), std::string::npos);
  const DynamicsReader store(folder / "dynamics.tdds");
  EXPECT_EQ(store.epochs(), 3);
  EXPECT_EQ(store.samples(), 240);
}

TEST(TrainProgramTest, ARunIsNotOverwrittenUnasked) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", tiny(folder.str(), 1)).exit_code, 0);
  const Outcome again = run_tool("tdds-train", tiny(folder.str(), 1));
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_TRUE(is_one_sentence(again.err, "tdds-train")) << again.err;
  EXPECT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 1), {"--overwrite"})).exit_code, 0);
}

TEST(TrainProgramTest, SavedWeightsCanBeEvaluated) {
  const TemporaryFolder a, b;
  ASSERT_EQ(run_tool("tdds-train", tiny(a.str(), 2)).exit_code, 0);
  const Outcome evaluated = run_tool(
      "tdds-train", with(tiny(b.str(), 2), {"--evaluate", "--init_weights", a / "model_last.safetensors"}));
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const double last = nlohmann::json::parse(read_text(a / "result.json")).at("last_test_accuracy");
  EXPECT_NE(evaluated.out.find(fmt::format("accuracy {:.2f} %", 100 * last)), std::string::npos)
      << evaluated.out;
}

TEST(TrainProgramTest, TheBestEpochIsChosenByHeldOutImagesIfThereAreAny) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 2), {"--val_fraction", "0.25"})).exit_code, 0);
  const auto result = nlohmann::json::parse(read_text(folder / "result.json"));
  EXPECT_EQ(result.at("chosen_by"), "held-out accuracy");
  EXPECT_EQ(result.at("run").at("samples"), "179");  // a quarter of each class, rounded
}

// The kernels of the GPU, executed on the CPU from a queue that runs at the latest moment: the whole program,
// and the scores of its dynamics, compared with those of the device cpu.
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
  // In batch norms over so few channels rounding errors grow by an order of magnitude per step. Samples are
  // compared in the first three steps, and the means of the epochs after them.
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
        BadInput{"ngpu", {"--ngpu", "-1"}, 2, "--ngpu"},
        BadInput{"ngpu_planned", {"--ngpu", "4", "--dry_run"}, 2, "--ranks 4"},
        BadInput{"ranks", {"--ngpu", "100000"}, 2, "100000 ranks cannot share a batch of"},
        BadInput{"gpu", {"--device", "cpu", "--gpu", "1"}, 2, "--gpu 1 chooses a GPU"},
        BadInput{"flag", {"--learnig_rate", "0.1"}, 2, "learnig"},
        BadInput{"number", {"--epochs", "many"}, 2, "many"},
        BadInput{"epochs", {"--epochs", "0"}, 2, "--epochs"},
        BadInput{"batch", {"--batch-size", "0"}, 2, "--batch_size"},
        BadInput{"momentum", {"--momentum", "nan"}, 2, "--momentum"},
        BadInput{"decay", {"--decay", "-1"}, 2, "--decay"},
        BadInput{"seed", {"--manualSeed", "-1"}, 2, "--manualSeed is -1"},
        BadInput{"minutes", {"--checkpoint_minutes", "nan"}, 2, "--checkpoint_minutes"},
        BadInput{"stop", {"--stop_after_epoch", "-1"}, 2, "--stop_after_epoch"},
        BadInput{"print_freq", {"--print_freq", "-5"}, 2, "--print_freq"},
        BadInput{"one_pixel", {"--stem", "imagenet", "--batch-size", "239"}, 2, "single value per channel"},
        BadInput{"data", {"--dataset", "cifar100", "--data_path", "/nonexistent"}, 1, "/nonexistent"},
        BadInput{"weights", {"--init_weights", "/nonexistent.safetensors"}, 1, "/nonexistent.safetensors"},
        BadInput{"folder", {"--save_path", "/proc/nothing/here"}, 1, "/proc/nothing"},
        BadInput{"loss", {"--learning_rate", "1e20"}, 1, "--learning_rate"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tdds::test
