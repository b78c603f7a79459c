// The programs on a GPU, from training to scores. Skipped visibly without one; TDDS_REQUIRE_GPU=1 makes that
// a failure.

#include <gtest/gtest.h>

#include <cmath>

#include "engine/io/dynamics_store.h"
#include "engine/io/npy.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/device_or_skip.h"

namespace tdds::test {
namespace {

class CudaProgramTest : public testing::Test {
 protected:
  void SetUp() override { device_or_skip(DeviceKind::kCuda); }
  static std::vector<std::string> args(const TemporaryFolder& folder, const char* device,
                                       const char* precision) {
    return with(tiny(folder.str(), 4), {"--device", device, "--precision", precision, "--dynamics"});
  }
};

class CudaPrecisionTest : public CudaProgramTest, public testing::WithParamInterface<const char*> {};

TEST_P(CudaPrecisionTest, TrainsResumesToTheSameBitsAndScores) {
  const char* const precision = GetParam();
  const TemporaryFolder whole, stopped, masks, cache;
  // The first run times its plans, the second takes them from the cache, the resumed one from the checkpoint.
  const std::vector<std::string> plans{"--plan_cache", cache / "plans"};
  const Outcome outcome = run_tool("tdds-train", with(args(whole, "cuda", precision), plans));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("were timed"), std::string::npos) << outcome.out;
  const Outcome first = run_tool(
      "tdds-train", with(with(args(stopped, "cuda", precision), {"--stop_after_epoch", "2"}), plans));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.out.find("were timed"), std::string::npos) << first.out;
  std::filesystem::remove(cache / "plans");
  const Outcome resumed =
      run_tool("tdds-train", with(with(args(stopped, "cuda", precision), {"--resume"}), plans));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(model_bytes(whole.str()) == model_bytes(stopped.str()));
  EXPECT_TRUE(read_text(whole / "dynamics.tdds") == read_text(stopped / "dynamics.tdds"));
  EXPECT_EQ(metrics_but_times(whole.str()), metrics_but_times(stopped.str()));

  const auto score = [&](const std::string& device) {
    const Outcome scored =
        run_tool("tdds-score", {"--dynamics_path", whole.str(), "--mask_path", masks / device, "--device",
                                device, "--trajectory_len", "4", "--window_size", "3"});
    EXPECT_EQ(scored.exit_code, 0) << scored.err;
    return read_npy_f32(masks / (device + "/score_win3_ep4.npy"));
  };
  const std::vector<float> on_cuda = score("cuda"), on_cpu = score("cpu");
  ASSERT_EQ(on_cuda.size(), 240u);
  for (std::size_t i = 0; i < on_cuda.size(); ++i)
    EXPECT_NEAR(on_cuda[i], on_cpu[i], 1e-6 + 1e-4 * std::abs(on_cpu[i])) << i;
}

// The losses of the first batch come before any update, from the forward pass alone. Later losses may differ:
// in batch norms over so few channels, by an order of magnitude more with each step.
TEST_F(CudaProgramTest, BeginsAsTheCpuDoes) {
  const TemporaryFolder cuda, cpu;
  for (const auto& [folder, device] :
       {std::pair<const TemporaryFolder&, const char*>{cuda, "cuda"}, {cpu, "cpu"}}) {
    const Outcome outcome = run_tool(
        "tdds-train", with(args(folder, device, "fp32"), {"--stop_after_epoch", "1", "--no-cudnn_autotune"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  const DynamicsReader of_cuda(cuda / "dynamics.tdds"), of_cpu(cpu / "dynamics.tdds");
  int equal = 0;
  for (int i = 0; i < 240; ++i) equal += std::abs(of_cuda.loss(0)[i] - of_cpu.loss(0)[i]) < 1e-3F ? 1 : 0;
  EXPECT_GE(equal, 50) << "of a batch of 50";
}

// Its plans are in its folder, so that it continues with them where the user's cache is gone.
TEST_F(CudaProgramTest, ASweepKeepsItsPlans) {
  const TemporaryFolder sweep, cache;
  const auto run = [&](const char* rates) {
    const Outcome outcome = run_tool(
        "tdds-sweep",
        with(tiny(sweep.str(), 2), {"--device", "cuda", "--methods", "random", "--rates", rates, "--seeds",
                                    "1", "--subset_batch_size", "50", "--plan_cache", cache / "plans"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  run("0.5");
  const std::string plans = read_text(sweep / "plans");
  EXPECT_EQ(plans.substr(0, plans.find('\n')), "tdds convolution plans 1");
  std::filesystem::remove(cache / "plans");
  run("0.5");
  EXPECT_FALSE(std::filesystem::exists(cache / "plans")) << "plans were timed again";
}

INSTANTIATE_TEST_SUITE_P(Precisions, CudaPrecisionTest, testing::Values("fp32", "tf32", "fp16", "bf16"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace tdds::test
