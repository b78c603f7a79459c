// The number of threads changes no bit of a run, and waiting threads leave the cores to others.

#include <gtest/gtest.h>

#include <chrono>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/paths.h"

namespace tdds::test {
namespace {

// At this width the default algorithm takes Winograd for most layers, and direct convolutions for the first
// one, the strided ones and the projections. Neither 2 nor 3 threads divide the batch of 25; the last one has
// 15 images.
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

// Runs tdds-train with the two variables as given, "" for unset, and returns the GOMP_SPINCOUNT in its
// environment once it trains, "" if it is not set.
std::string spin_count_of_program(const std::string& policy, const std::string& count) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    policy.empty() ? unsetenv("OMP_WAIT_POLICY") : setenv("OMP_WAIT_POLICY", policy.c_str(), 1);
    count.empty() ? unsetenv("GOMP_SPINCOUNT") : setenv("GOMP_SPINCOUNT", count.c_str(), 1);
    const std::string path = program_path("tdds-train"), out = folder / "out";
    if (!freopen(out.c_str(), "w", stdout)) _exit(126);
    const std::vector<std::string> args = with(tiny(folder / "run", 1000), {"--device", "cpu"});
    std::vector<char*> argv{const_cast<char*>("tdds-train")};
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!std::filesystem::exists(folder / "run/metrics.jsonl") && std::chrono::steady_clock::now() < end)
    usleep(1000);
  EXPECT_TRUE(std::filesystem::exists(folder / "run/metrics.jsonl"));
  const std::string environment = read_text("/proc/" + std::to_string(child) + "/environ");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const std::string name = std::string(1, '\0') + "GOMP_SPINCOUNT=";
  const std::size_t at = ('\0' + environment).find(name);
  return at == std::string::npos ? "" : environment.c_str() + at + name.size() - 1;
}

// By default a waiting thread of libgomp spins for seconds on a core that another process may need.
TEST(ThreadWaitingTest, IsBriefUnlessTheUserChose) {
  const std::string chosen = spin_count_of_program("", "");
  EXPECT_FALSE(chosen.empty());
  EXPECT_LE(std::stoll("0" + chosen), 10000);
  EXPECT_EQ(spin_count_of_program("active", ""), "");
  EXPECT_EQ(spin_count_of_program("", "77"), "77");
}

INSTANTIATE_TEST_SUITE_P(Algorithms, ThreadsProgramTest, testing::Values("auto", "direct"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace tdds::test
