// tdds-train on a CPU: precisions, threads, and that no activation changes its layout in a step.

#include <gtest/gtest.h>

#include <sstream>

#include "kernels/runtime/device.h"
#include "tests/apps/program.h"

namespace tdds::test {
namespace {

// 240 training images of 32x32, 16 channels at most: a fraction of a second per epoch.
Outcome train(const TemporaryFolder& folder, const std::vector<std::string>& more) {
  std::vector<std::string> args{"--device", "cpu",        "--dataset",    "shapes",    "--shapes_train",
                                "240",      "--width",    "0.03125",      "--arch",    "resnet18",
                                "--epochs", "2",          "--batch-size", "50",        "--shapes_test",
                                "60",       "--dynamics", "--save_path",  folder.str()};
  args.insert(args.end(), more.begin(), more.end());
  return run_tool("tdds-train", args);
}

// Counts executed reorders of feature maps, which are never 3x3 or 1x1 as filters are. oneDNN's log:
// onednn_verbose,...,exec,cpu,reorder,...,50x16x8x8,0.01
int reorders_of_maps(const std::string& log, int* convolutions) {
  std::istringstream lines(log);
  std::string line;
  int found = 0;
  while (std::getline(lines, line)) {
    if (line.find("exec,cpu,convolution") != std::string::npos) ++*convolutions;
    if (line.find("exec,cpu,reorder") == std::string::npos) continue;
    const std::string shape = line.substr(0, line.rfind(','));
    if (!shape.ends_with("x3x3") && !shape.ends_with("x1x1")) ++found;
  }
  return found;
}

TEST(CpuProgramTest, NoStepReordersAnActivation) {
  const ScopedVariable verbose("DNNL_VERBOSE", "1");
  for (const char* precision : {"fp32", "bf16"}) {
    if (std::string(precision) == "bf16" && !host_has_bf16()) continue;
    const TemporaryFolder folder;
    const Outcome outcome = train(folder, {"--conv_algo", "direct", "--precision", precision});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    int convolutions = 0;
    EXPECT_EQ(reorders_of_maps(outcome.out, &convolutions), 0) << precision;
    EXPECT_GT(convolutions, 100) << precision;
  }
}

TEST(CpuProgramTest, FindsAReorderOfAnActivation) {
  int convolutions = 0;
  EXPECT_EQ(reorders_of_maps("onednn_verbose,exec,cpu,reorder,jit:uni,undef,a b,,,64x32x3x3,0.01\n"
                             "onednn_verbose,exec,cpu,convolution,brgconv,forward,,,mb50_ic3,0.2\n"
                             "onednn_verbose,exec,cpu,reorder,jit:uni,undef,a b,,,50x32x8x8,0.01\n",
                             &convolutions),
            1);
  EXPECT_EQ(convolutions, 1);
}

TEST(CpuProgramTest, TrainsInBf16TwiceWithTheSameBits) {
  if (!host_has_bf16()) GTEST_SKIP() << "this CPU has no avx512_bf16";
  const TemporaryFolder a, b, fp32;
  const Outcome outcome = train(a, {"--precision", "bf16"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("bf16 on cpu"), std::string::npos) << outcome.out;
  ASSERT_EQ(train(b, {"--precision", "bf16"}).exit_code, 0);
  ASSERT_EQ(train(fp32, {"--precision", "fp32"}).exit_code, 0);
  EXPECT_TRUE(read_text(a / "dynamics.tdds") == read_text(b / "dynamics.tdds"));
  EXPECT_FALSE(read_text(a / "dynamics.tdds") == read_text(fp32 / "dynamics.tdds"));
}

TEST(CpuProgramTest, ACpuWithoutBf16SaysSo) {
  const TemporaryFolder folder;
  const ScopedVariable isa("TDDS_CPU_ISA", "generic");
  const Outcome outcome = train(folder, {"--precision", "bf16"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("avx512_bf16"), std::string::npos) << outcome.err;
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
}

TEST(CpuProgramTest, AnUnknownInstructionSetIsNamed) {
  const TemporaryFolder folder;
  const ScopedVariable isa("TDDS_CPU_ISA", "sse9");
  const Outcome outcome = train(folder, {});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("'sse9'"), std::string::npos) << outcome.err;
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
}

TEST(CpuProgramTest, MoreThreadsThanCoresAreAllowedWithAWarning) {
  const TemporaryFolder folder;
  const std::string threads = std::to_string(host_cores() + 1);
  const Outcome outcome = train(folder, {"--threads", threads});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("warning: " + threads + " threads on"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace tdds::test
