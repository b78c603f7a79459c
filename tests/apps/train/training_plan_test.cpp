// --dry_run: through the program, and its numbers against those of a run.

#include "apps/train/training_plan.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>

#include "engine/io/safetensors.h"
#include "nets/resnet.h"
#include "tests/apps/program.h"

namespace tdds::test {
namespace {

TrainConfig small_config() {
  TrainConfig config;
  config.data.name = "shapes";
  config.data.shapes_train = 130;
  config.data.shapes_test = 30;
  config.width = 0.125;
  config.train.batch = 32;
  config.train.epochs = 2;
  config.device = DeviceKind::kCpu;
  config.dynamics = true;
  return config;
}

// A real run, on a device that counts the bytes that are requested.
std::size_t allocated_by_a_run(const TrainConfig& config, const Dataset& data) {
  class Counting final : public Device {
   public:
    Counting(std::unique_ptr<Device> real, std::size_t& bytes)
        : Device(real->kind(), real->ops()), real_(std::move(real)), bytes_(bytes) {}
    std::string description() const override { return real_->description(); }
    void* allocate(std::size_t bytes, std::string_view what) override {
      bytes_ += bytes;
      return real_->allocate(bytes, what);
    }
    void free(void* memory) noexcept override { real_->free(memory); }
    std::int64_t allocations() const override { return real_->allocations(); }
    std::unique_ptr<Stream> make_stream(StreamMode mode) override { return real_->make_stream(mode); }
    bool allow_shared_memory(const void* kernel, std::size_t bytes) override {
      return real_->allow_shared_memory(kernel, bytes);
    }

   private:
    std::unique_ptr<Device> real_;
    std::size_t& bytes_;
  };
  std::size_t bytes = 0;
  TrainingSetup setup(config, std::make_unique<Counting>(make_device(DeviceKind::kCpu), bytes), data);
  Trainer trainer(setup.device(), setup.stream(), setup.net(), setup.pool(), setup.train_set(),
                  train_options(config, setup, nullptr));
  setup.start(config.train.seed, config.init_weights);
  trainer.step();
  return bytes;
}

TEST(TrainingPlanTest, TheMemoryIsThatOfARun) {
  const TrainConfig config = small_config();
  const auto device = choose_device(config);
  const Dataset data = load_dataset(dataset_options(config));
  const TrainingPlan plan = plan_training(config, *device, data, nullptr);
  EXPECT_EQ(plan.memory_bytes, allocated_by_a_run(config, data));
  std::size_t sum = 0;
  for (const auto& [what, bytes] : plan.memory) {
    EXPECT_GT(bytes, 0u) << what;
    sum += bytes;
  }
  EXPECT_EQ(sum, plan.memory_bytes);
}

// Forward, and twice that backward, except that the first convolution has no data gradient.
TEST(TrainingPlanTest, TheProductsAreThoseOfTheNetwork) {
  TrainConfig config = small_config();
  config.train.algo = ConvAlgo::kDirect;
  const auto device = choose_device(config);
  const Dataset data = load_dataset(dataset_options(config));
  const TrainingPlan direct = plan_training(config, *device, data, nullptr);
  const auto net = make_resnet({.arch = config.arch, .classes = data.classes, .width = config.width});
  const double stem = 32.0 * 32 * 9 * 3 * 8;
  EXPECT_NEAR(direct.step.conv_flops + direct.step.fp32_flops, 2 * 32 * (3 * net->forward_macs() - stem), 1);
  config.train.algo = ConvAlgo::kWinograd;
  const TrainingPlan winograd = plan_training(config, *device, data, nullptr);
  EXPECT_LT(winograd.step.conv_flops, 0.5 * direct.step.conv_flops);
  EXPECT_EQ(winograd.step.bytes, direct.step.bytes);
  EXPECT_EQ(direct.step.largest, 32.0 * 32 * 32 * 8 * sizeof(float)) << "what the first convolution writes";
}

TEST(TrainingPlanTest, OutOfMemoryNamesTheLargestBatchThatFits) {
  TrainConfig config = small_config();
  const auto device = choose_device(config);
  const Dataset data = load_dataset(dataset_options(config));
  const auto bytes_at = [&](std::int32_t batch) {
    config.train.batch = batch;
    return plan_training(config, *device, data, nullptr).memory_bytes;
  };
  const std::size_t enough_for_20 = bytes_at(20), too_little_for_21 = bytes_at(21) - 1;
  EXPECT_LT(enough_for_20, too_little_for_21);
  config.train.batch = 64;
  const std::string sentence =
      out_of_memory_sentence(config, *device, data, nullptr, OutOfMemory("no", too_little_for_21));
  EXPECT_NE(sentence.find("a batch of 64 needs"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("the largest batch that fits is 20 (--batch_size)"), std::string::npos) << sentence;
  EXPECT_NE(
      out_of_memory_sentence(config, *device, data, nullptr, OutOfMemory("no", 1000)).find("no batch fits"),
      std::string::npos);
  EXPECT_NE(out_of_memory_sentence(config, *device, data, nullptr, OutOfMemory("unknown room", 0))
                .find("unknown room"),
            std::string::npos);
}

TEST(DeviceOptionsTest, ResumedRunsKeepTheirPlansAndTimedPlansGoToTheUsersCache) {
  const TemporaryFolder folder;
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string kept = before ? before : "";
  setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  TrainConfig config;
  config.save_path = folder.str();
  const float weight = 1;
  const std::vector<NamedTensor> tensors{{"w", DType::kF32, {1}, &weight}};
  write_safetensors(folder / "checkpoint.safetensors", tensors, {{kPinnedPlans, "the plans"}});
  EXPECT_EQ(device_options(config).pinned_plans, "");
  config.resume = config.debug_sync = true;
  const DeviceOptions options = device_options(config);
  EXPECT_EQ(options.pinned_plans, "the plans");
  EXPECT_EQ(options.plan_cache.name, folder / "cache/tdds/cudnn_plans.txt");
  EXPECT_FALSE(std::filesystem::exists(folder / "cache")) << "it is made when plans are kept";
  EXPECT_TRUE(options.cudnn_autotune && options.debug_sync);
  config.plan_cache = folder / "mine/plans";
  EXPECT_EQ(device_options(config).plan_cache.name, config.plan_cache);
  config.dry_run = true;
  EXPECT_EQ(device_options(config).plan_cache.name, config.plan_cache);
  EXPECT_FALSE(device_options(config).cudnn_autotune) << "a dry run times nothing";
  config.dry_run = false;
  config.no_cudnn_autotune = true;
  EXPECT_EQ(device_options(config).plan_cache.name, "");
  EXPECT_FALSE(device_options(config).cudnn_autotune);
  if (before)
    setenv("XDG_CACHE_HOME", kept.c_str(), 1);
  else
    unsetenv("XDG_CACHE_HOME");
}

const std::vector<std::string> kShapes{"--dataset", "shapes", "--shapes_train", "130", "--shapes_test", "30",
                                       "--width",   "0.125",  "--batch-size",   "32",  "--dry_run"};
TEST(DryRunProgramTest, PrintsThePlanAndLeavesNothing) {
  const TemporaryFolder folder;
  for (const char* device : {"cpu", "simt"}) {
    const Outcome outcome =
        run_tool("tdds-train", with(kShapes, {"--device", device, "--save_path", folder / "run"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const char* part : {"layer4.0.downsample.0", "momentum", "activations", "data set"})
      EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in " << outcome.out;
    for (const char* floor : {"arithmetic", "chains of multiply-adds in registers", "reads of 1.0 MB"})
      EXPECT_EQ(outcome.out.find(floor) != std::string::npos, std::string(device) == "cpu") << outcome.out;
    EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  }
}

TEST(DryRunProgramTest, PlansForAnAbsentGpu) {
  const Outcome outcome = run_tool(
      "tdds-train", {"--data_path", "/nonexistent", "--precision", "fp16", "--dry_run", "--target", "sm_90"});
  if (offline_gpus().empty()) {
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find("without CUDA"), std::string::npos) << outcome.err;
    return;
  }
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("planned for the published 50000 + 10000 images"), std::string::npos)
      << outcome.out;
  EXPECT_TRUE(std::regex_search(
      outcome.out,
      std::regex("layer1.0.conv1 32x32x64 -> 64 3x3/1\n    forward +engine \\d+, tensor_core, [0-9.]+ MiB\n"
                 "    data\\+ +engine \\d+.*\n    filter +engine \\d+")))
      << outcome.out;
  EXPECT_NE(outcome.out.find("989.5 TFLOP/s"), std::string::npos) << outcome.out;
}

TEST(DryRunProgramTest, AutomaticPrecisionDependsOnTheDevice) {
  const Outcome cpu = run_tool("tdds-train", with(kShapes, {"--device", "cpu"}));
  EXPECT_NE(cpu.out.find(", fp32 on cpu"), std::string::npos) << cpu.out << cpu.err;
  if (offline_gpus().empty()) return;
  const Outcome gpu = run_tool("tdds-train", with(kShapes, {"--target", "sm_90"}));
  EXPECT_NE(gpu.out.find(", tf32 on "), std::string::npos) << gpu.out << gpu.err;
}

TEST(DryRunProgramTest, UnknownTargetsGiveOneSentence) {
  const Outcome unknown = run_tool("tdds-train", with(kShapes, {"--target", "sm_75"}));
  EXPECT_TRUE(is_one_sentence(unknown.err, "tdds-train")) << unknown.err;
  if (!offline_gpus().empty()) {
    EXPECT_EQ(unknown.exit_code, 2);
    EXPECT_NE(unknown.err.find("native, sm_80, sm_86, sm_89, sm_90, sm_100, sm_120"), std::string::npos)
        << unknown.err;
  }
  const Outcome no_dry_run = run_tool("tdds-train", {"--dataset", "shapes", "--target", "sm_90"});
  EXPECT_EQ(no_dry_run.exit_code, 2);
  EXPECT_NE(no_dry_run.err.find("--dry_run"), std::string::npos) << no_dry_run.err;
  const Outcome autotune = run_tool("tdds-train", with(kShapes, {"--device", "cpu", "--cudnn_autotune"}));
  EXPECT_EQ(autotune.exit_code, 2);
  EXPECT_TRUE(is_one_sentence(autotune.err, "tdds-train")) << autotune.err;
}

// On a GPU, evaluation has a batch of its own, which does not depend on the training's.
TEST(DryRunProgramTest, CountsTheEvaluation) {
  const auto batch_of = [](const std::vector<std::string>& flags) {
    const Outcome outcome = run_tool("tdds-train", with(with(kShapes, {"--shapes_test", "1500"}), flags));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    std::smatch found;
    return std::regex_search(outcome.out, found, std::regex("Evaluation in batches of (\\d+)\n"))
               ? std::stoi(found[1])
               : 0;
  };
  EXPECT_EQ(batch_of({"--device", "cpu"}), 32);
  EXPECT_EQ(batch_of({"--device", "simt"}), 32);
  if (offline_gpus().empty()) return;
  EXPECT_EQ(batch_of({"--target", "sm_90"}), 1000);
  EXPECT_EQ(batch_of({"--target", "sm_90", "--batch-size", "16"}), 1000);
  // 24 GB hold fewer images of a network as wide as this one.
  EXPECT_EQ(batch_of({"--target", "sm_86", "--arch", "resnet50", "--width", "2"}), 62);
  TrainConfig config = small_config();
  config.data.shapes_test = 1500;
  const auto gpu = make_offline_gpu("sm_90");
  const auto saved = [&](std::int64_t test_images) {
    config.data.shapes_test = test_images;
    return plan_training(config, *gpu, load_dataset(dataset_options(config)), nullptr);
  };
  const TrainingPlan many = saved(1500), few = saved(30);
  EXPECT_EQ(many.evaluation_batch, 1000);
  EXPECT_EQ(few.evaluation_batch, 30);
  EXPECT_GT(many.memory[3].second, few.memory[3].second) << many.memory[3].first;
}

}  // namespace
}  // namespace tdds::test
