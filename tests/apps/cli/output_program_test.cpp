// A standard output that cannot be written: each program finishes its work, prints one sentence and ends with
// exit code 1.

#include <gtest/gtest.h>

#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

const std::vector<std::string> kPrograms{"tdds-train", "tdds-score", "tdds-train-subset", "tdds-sweep",
                                         "tdds-report"};

// On a full device, and without a standard output.
void expect_refused(const std::string& program, const std::vector<std::string>& args) {
  for (const char* out : {"/dev/full", ""}) {
    SCOPED_TRACE(program + " > '" + out + "'");
    const Outcome outcome = run_tool(program, args, {.out = out});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
    EXPECT_NE(outcome.err.find("the standard output cannot be written"), std::string::npos) << outcome.err;
  }
}

TEST(OutputProgramTest, ReportsLostTexts) {
  for (const std::string& program : kPrograms)
    for (const char* flag : {"--version", "--help", "--help-all"}) expect_refused(program, {flag});
  expect_refused("tdds-score", {"--list"});
  expect_refused("tdds-train", {"--dataset", "shapes", "--dry_run"});
}

TEST(OutputProgramTest, FinishesItsWork) {
  const TemporaryFolder folder;
  const std::string run = folder / "run", masks = folder / "masks";
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder / "read"), {"--dynamics"})).exit_code, 0);
  expect_refused("tdds-train", with(tiny(run), {"--dynamics", "--overwrite"}));
  EXPECT_EQ(model_bytes(run), model_bytes(folder / "read"));
  EXPECT_EQ(read_text(run + "/dynamics.tdds"), read_text(folder / "read/dynamics.tdds"));
  EXPECT_EQ(metrics_but_times(run), metrics_but_times(folder / "read"));

  expect_refused("tdds-score", {"--dynamics_path", run, "--mask_path", masks, "--trajectory_len", "3",
                                "--window_size", "3", "--subset_rate", "0.5"});
  const std::string mask = masks + "/data_mask_win3_ep3.npy", score = masks + "/score_win3_ep3.npy";
  EXPECT_TRUE(std::filesystem::exists(mask) && std::filesystem::exists(score));

  expect_refused("tdds-train-subset",
                 with(tiny(folder / "subset"), {"--mask_path", mask, "--score_path", score, "--overwrite"}));
  EXPECT_EQ(checkpoint_state(folder / "subset")->epoch, 3);
  expect_refused("tdds-report", {"--dynamics_path", run, "--output", folder / "report.html"});
  EXPECT_TRUE(std::filesystem::exists(folder / "report.html"));
  expect_refused("tdds-sweep", with(tiny(folder / "sweep"), {"--methods", "random", "--rates", "0.5",
                                                             "--seeds", "1", "--overwrite"}));
  EXPECT_TRUE(std::filesystem::exists(folder / "sweep/table.md"));
}

// A run that stops early prints both: how to continue, and that its output was lost.
TEST(OutputProgramTest, KeepsOtherErrors) {
  const TemporaryFolder folder;
  const Outcome stopped =
      run_tool("tdds-train", with(tiny(folder.str()), {"--stop_after_epoch", "1"}), {.out = "/dev/full"});
  EXPECT_EQ(stopped.exit_code, 1);
  EXPECT_NE(stopped.err.find("with --resume to continue"), std::string::npos) << stopped.err;
  EXPECT_NE(stopped.err.find("the standard output cannot be written"), std::string::npos) << stopped.err;
  const Outcome usage = run_tool("tdds-score", {"--no_such_flag"}, {.out = "/dev/full"});
  EXPECT_EQ(usage.exit_code, 2);
  EXPECT_TRUE(is_one_sentence(usage.err, "tdds-score")) << usage.err;
}

// The reader closes the pipe early, as `head` does.
TEST(OutputProgramTest, AClosedPipeEndsTheProgramAtOnce) {
  const std::string command =
      "{ sleep 0.2; exec " + program_path("tdds-score") + " --list; } | true; exit ${PIPESTATUS[0]}";
  const int status = std::system(("bash -c '" + command + "'").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGPIPE);
}

}  // namespace
}  // namespace tdds::test
