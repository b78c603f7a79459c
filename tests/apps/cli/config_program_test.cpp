// --config and --save_config of every program.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/apps/sweep/tiny_sweep.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ConfigProgramTest : public testing::Test {
 protected:
  // Runs the program with `args` and `place`, then again by the file that it saved and `second_place`. Both
  // starts must save the same flags, except that of the place.
  void run_twice(const std::string& program, const std::vector<std::string>& args, const std::string& flag,
                 const std::string& place, const std::string& second_place) {
    const Outcome first = run_tool(program, with(args, {"--" + flag, place, "--save_config", first_}));
    ASSERT_EQ(first.exit_code, 0) << first.err;
    const Outcome second =
        run_tool(program, {"--config", first_, "--" + flag, second_place, "--save_config", second_});
    ASSERT_EQ(second.exit_code, 0) << second.err;
    std::string expected = read_text(first_);
    const std::string before = flag + " = '" + place + "'\n", after = flag + " = '" + second_place + "'\n";
    ASSERT_NE(expected.find(before), std::string::npos) << expected;
    expected.replace(expected.find(before), before.size(), after);
    EXPECT_EQ(read_text(second_), expected);
  }
  void record() { ASSERT_EQ(run_tool("tdds-train", with(tiny(run_), {"--dynamics"})).exit_code, 0); }

  TemporaryFolder folder_;
  const std::string first_ = folder_ / "saved/first.toml", second_ = folder_ / "second.toml";
  const std::string run_ = folder_ / "run", again_ = folder_ / "again";
};

TEST_F(ConfigProgramTest, ATrainingIsRepeated) {
  std::vector<std::string> args = tiny("");
  args.resize(args.size() - 2);
  args = with(args, {"--dynamics", "--corrupt", "fog,occlusion", "--momentum", "0.8", "--dynamics_fields",
                     "kl,loss"});
  run_twice("tdds-train", args, "save_path", run_, again_);
  EXPECT_TRUE(model_bytes(run_) == model_bytes(again_));
  EXPECT_TRUE(read_text(run_ + "/dynamics.tdds") == read_text(again_ + "/dynamics.tdds"));
  EXPECT_THAT(read_text(first_),
              AllOf(HasSubstr("\n# Data\ndataset = 'shapes'\n"),
                    HasSubstr("\ncorrupt = ['fog', 'occlusion']\n"), HasSubstr("\nmomentum = 0.8\n")));
  EXPECT_THAT(read_text(first_), AllOf(HasSubstr("\ndevice = 'cpu'\n"), HasSubstr("\nprecision = 'fp32'\n"),
                                       HasSubstr("\nstem = 'cifar'\n"), HasSubstr("\ncrop_size = 32\n")))
      << "what auto became";
}

TEST_F(ConfigProgramTest, ATrainingOnASubsetIsRepeated) {
  std::vector<std::string> args = tiny("", 1);
  args.resize(args.size() - 2);
  run_twice("tdds-train-subset", with(args, {"--random_subset", "--subset_rate", "0.4"}), "save_path", run_,
            again_);
  EXPECT_TRUE(model_bytes(run_) == model_bytes(again_));
}

TEST_F(ConfigProgramTest, ScoresAreRepeated) {
  record();
  run_twice("tdds-score",
            {"--dynamics_path", run_, "--method", "tdds,el2n", "--trajectory_len", "3", "--window_size", "3",
             "--keep", "100"},
            "mask_path", folder_ / "masks", folder_ / "again");
  for (const char* name : {"/score_win3_ep3.npy", "/data_mask_el2n.npy", "/kept_el2n_top_keep100.npy"}) {
    ASSERT_TRUE(std::filesystem::exists(again_ + name)) << name;
    EXPECT_TRUE(read_text(folder_ / "masks" + name) == read_text(again_ + name)) << name;
  }
}

TEST_F(ConfigProgramTest, ASweepIsRepeated) {
  std::vector<std::string> args = data_and_net("");
  args.resize(args.size() - 2);
  run_twice("tdds-sweep", with(args, {"--rates", "0.5,0.7", "--seeds", "1", "--ccs_beta", "0.1"}),
            "save_path", run_, again_);
  EXPECT_EQ(read_text(run_ + "/sweep.json"), read_text(again_ + "/sweep.json"));
  EXPECT_THAT(read_text(first_), HasSubstr("\nsubset_batch_size = [40]\n")) << "what it was resolved to";
}

TEST_F(ConfigProgramTest, AReportIsRepeated) {
  record();
  run_twice("tdds-report", {"--dynamics_path", run_, "--window_size", "3", "--images", "4"}, "output",
            folder_ / "a.html", folder_ / "b.html");
  EXPECT_FALSE(read_text(folder_ / "a.html").empty());
  EXPECT_TRUE(read_text(folder_ / "a.html") == read_text(folder_ / "b.html"));
}

TEST_F(ConfigProgramTest, TheCommandLineWins) {
  write_text(second_, "epochs = 400\nsave-path = '" + run_ + "'\n");
  const std::vector<std::string> args{"--dataset",     "shapes", "--shapes_train", "240",
                                      "--shapes_test", "60",     "--width",        "0.03125",
                                      "--config",      second_,  "--epochs",       "1"};
  const Outcome outcome = run_tool("tdds-train", args);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(json_of(run_ + "/result.json").at("run").at("epochs"), "1");
}

// A resumed run takes its recorded flags only where neither the command line nor the file gives any.
TEST_F(ConfigProgramTest, TheFileWinsOverARecordedRun) {
  ASSERT_EQ(run_tool("tdds-train", with(tiny(run_), {"--stop_after_epoch", "1"})).exit_code, 0);
  write_text(second_, "momentum = 0.5\n");
  const Outcome other = run_tool("tdds-train", {"--save_path", run_, "--resume", "--config", second_});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, AllOf(HasSubstr("momentum '0.9'"), HasSubstr("'0.5'")));
  write_text(second_, "resume = true\nsave_path = '" + run_ + "'\n");
  EXPECT_EQ(run_tool("tdds-train", {"--config", second_}).exit_code, 0);
}

TEST_F(ConfigProgramTest, AFlagMayNeedOneOfTheFile) {
  write_text(second_, "corrupt = ['fog']\n");
  const std::vector<std::string> args = with(tiny(run_, 1), {"--corrupt_fraction", "0.5"});
  EXPECT_EQ(run_tool("tdds-train", with(args, {"--config", second_})).exit_code, 0);
  write_text(second_, "corrupt_fraction = 0.5\n");
  const Outcome alone = run_tool("tdds-train", with(tiny(again_, 1), {"--config", second_}));
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.err, HasSubstr("--corrupt_fraction has no effect without --corrupt"));
}

TEST_F(ConfigProgramTest, EveryProgramRefusesAWrongFile) {
  for (const char* program : {"tdds-train", "tdds-train-subset", "tdds-score", "tdds-sweep", "tdds-report"}) {
    const auto refused = [&](const std::vector<std::string>& args, int code, const std::string& says) {
      const Outcome outcome = run_tool(program, args);
      EXPECT_EQ(outcome.exit_code, code) << outcome.err;
      EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
      EXPECT_THAT(outcome.err, HasSubstr(says));
    };
    write_text(second_, "\nsubset_rat = 0.5\n");
    refused({"--config", second_}, 2, second_ + ", line 2: there is no flag --subset_rat");
    write_text(second_, "device = 'gpu'\nimages = 'x'\n");
    refused({"--config", second_}, 2, second_ + ", line ");
    refused({"--config", folder_ / "absent.toml"}, 1, folder_ / "absent.toml cannot be read");
    write_text(folder_ / "file", "");
    refused({"--save_config", folder_ / "file/config.toml"}, 1, folder_ / "file");
  }
}

}  // namespace
}  // namespace tdds::test
