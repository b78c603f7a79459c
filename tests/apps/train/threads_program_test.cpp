// The number of threads changes no bit of a run.

#include <gtest/gtest.h>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

// At this width the default algorithm takes Winograd for most layers, and direct convolutions for the first one, the
// strided ones and the projections. Neither 2 nor 3 threads divide the batch of 25; the last one has 15 images.
class ThreadsProgramTest : public testing::TestWithParam<const char*> {};

TEST_P(ThreadsProgramTest, ChangeNoBitOfARun) {
  const auto run = [&](const TemporaryFolder& folder, const char* threads) {
    const Outcome outcome = run_tool(
        "tdds-train", with(tiny(folder.str(), 2),
                           {"--width", "0.25", "--shapes_train", "90", "--batch-size", "25", "--conv_algo",
                            GetParam(), "--device", "cpu", "--dynamics", "--threads", threads}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  const TemporaryFolder one;
  run(one, "1");
  const std::string plans = read_text(one / "log.txt");
  EXPECT_NE(plans.find("forward=onednn"), std::string::npos);
  EXPECT_EQ(plans.find("forward=winograd") != std::string::npos, GetParam() != std::string("direct"));
  for (const char* threads : {"2", "3"}) {
    const TemporaryFolder several;
    run(several, threads);
    EXPECT_TRUE(model_bytes(one.str()) == model_bytes(several.str())) << threads << " threads";
    EXPECT_TRUE(read_text(one / "dynamics.tdds") == read_text(several / "dynamics.tdds"))
        << threads << " threads";
    EXPECT_EQ(metrics_but_times(one.str()), metrics_but_times(several.str())) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, ThreadsProgramTest, testing::Values("auto", "direct"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace tdds::test
