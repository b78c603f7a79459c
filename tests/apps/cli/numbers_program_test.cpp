// Numbers on the command line of every program: decimal, finite, in range.

#include <gtest/gtest.h>

#include <sstream>

#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

struct NumberFlag {
  std::string name, type;  // "--epochs", "INT"
};

// The flags of `program` that take numbers or lists of them, by its own --help-all.
std::vector<NumberFlag> number_flags(const std::string& program) {
  std::istringstream help(run_tool(program, {"--help-all"}).out);
  std::vector<NumberFlag> flags;
  for (std::string line; std::getline(help, line);) {
    std::istringstream words(line);
    NumberFlag flag;
    if (!line.starts_with("  --") || !(words >> flag.name >> flag.type)) continue;
    if (flag.type == "INT" || flag.type == "UINT" || flag.type == "FLOAT") flags.push_back(flag);
  }
  return flags;
}

class NumbersProgramTest : public testing::TestWithParam<std::string> {};

TEST_P(NumbersProgramTest, EveryFlagRejectsNumbersThatAreNotDecimalOrNotInRange) {
  const std::vector<NumberFlag> flags = number_flags(GetParam());
  EXPECT_GE(flags.size(), 8u);
  const TemporaryFolder folder;
  const std::string path = GetParam() == "tdds-score"    ? "--mask_path"
                           : GetParam() == "tdds-report" ? "--output"
                                                         : "--save_path";
  for (const NumberFlag& flag : flags) {
    std::vector<std::string> bad{"0x10", "10L", "1,0x2", "18446744073709551616", "-9223372036854775809"};
    if (flag.type == "FLOAT") bad = {"0x10", "0.1f", "1,0x2", "nan", "inf", "-inf", "1e400"};
    if (flag.type == "INT") bad.push_back("9223372036854775808");
    if (flag.type == "UINT") bad.push_back("-1");
    for (const std::string& value : bad) {
      const Outcome outcome = run_tool(
          GetParam(), {path, folder / "out", "--data_path", "/nonexistent", flag.name + "=" + value});
      EXPECT_EQ(outcome.exit_code, 2) << flag.name << "=" << value << ": " << outcome.err;
      EXPECT_TRUE(is_one_sentence(outcome.err, GetParam())) << outcome.err;
      EXPECT_NE(outcome.err.find(flag.name), std::string::npos) << outcome.err;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, NumbersProgramTest,
                         testing::Values("tdds-train", "tdds-train-subset", "tdds-score", "tdds-sweep",
                                         "tdds-report"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(NumbersTest, LeadingZerosAreDecimalInEveryProgram) {
  const TemporaryFolder folder;
  const std::string run = folder / "run", masks = folder / "masks", sweep = folder / "sweep";
  const Outcome trained = run_tool("tdds-train", with(tiny(run), {"--epochs", "010", "--shapes_train=0100",
                                                                  "--manualSeed", "+011", "--dynamics"}));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(metrics_but_times(run).size(), 10u);
  const std::string log = read_text(run + "/log.txt");
  EXPECT_NE(log.find("11\n"), std::string::npos);
  EXPECT_EQ(log.find("+011"), std::string::npos);
  const Outcome scored = run_tool("tdds-score", {"--dynamics_path", run, "--mask_path", masks,
                                                 "--trajectory_len", "09,010", "--window_size", "005"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  for (const char* name : {"/score_win5_ep9.npy", "/score_win5_ep10.npy"})
    EXPECT_TRUE(std::filesystem::exists(masks + name)) << name;
  const Outcome swept =
      run_tool("tdds-sweep", with(tiny(sweep), {"--epochs", "01", "--seeds", "010", "--methods", "random",
                                                "--rates", "0.5", "--subset_batch_size", "050"}));
  ASSERT_EQ(swept.exit_code, 0) << swept.err;
  EXPECT_TRUE(std::filesystem::is_directory(sweep + "/seed10"));
  EXPECT_FALSE(std::filesystem::exists(sweep + "/seed8"));
}

}  // namespace
}  // namespace tdds::test
