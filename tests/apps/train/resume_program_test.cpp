// A run is a function of its flags alone, even if it is killed or interrupted.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

TEST(ResumeProgramTest, TwoRunsOfOneSeedAreBitwiseEqualAndAnotherSeedIsNot) {
  const TemporaryFolder a, b, c;
  ASSERT_EQ(run_tool("tdds-train", tiny(a.str(), 2)).exit_code, 0);
  ASSERT_EQ(run_tool("tdds-train", tiny(b.str(), 2)).exit_code, 0);
  ASSERT_EQ(run_tool("tdds-train", with(tiny(c.str(), 2), {"--manualSeed", "7"})).exit_code, 0);
  EXPECT_TRUE(model_bytes(a.str()) == model_bytes(b.str()));
  EXPECT_NE(model_bytes(a.str()), model_bytes(c.str()));
}

// The rates of a schedule in steps do not depend on how many epochs follow.
TEST(ResumeProgramTest, AFinishedRunIsMadeLonger) {
  const std::vector<std::string> schedule{"--schedule",      "step", "--lr_step_epochs", "2",
                                          "--warmup_epochs", "1"};
  for (const char* program : {"tdds-train", "tdds-train-subset"}) {
    SCOPED_TRACE(program);
    const TemporaryFolder whole, folder;
    const bool subset = std::string(program) == "tdds-train-subset";
    const auto train = [&](const TemporaryFolder& to, int epochs, const std::vector<std::string>& flags) {
      const std::string kind = subset ? "--random_subset" : "--dynamics";
      return run_tool(program, with(with(with(tiny(to.str(), epochs), schedule), {kind}), flags));
    };
    ASSERT_EQ(train(whole, 5, {}).exit_code, 0);
    ASSERT_EQ(train(folder, 3, {}).exit_code, 0);
    const Outcome longer = train(folder, 5, {"--resume"});
    ASSERT_EQ(longer.exit_code, 0) << longer.err;
    EXPECT_NE(longer.out.find("resumed at epoch 3"), std::string::npos) << longer.out;
    EXPECT_EQ(model_bytes(whole.str()), model_bytes(folder.str()));
    EXPECT_EQ(metrics_but_times(whole.str()), metrics_but_times(folder.str()));
    EXPECT_EQ(subset ? "" : read_text(whole / "dynamics.tdds"),
              subset ? "" : read_text(folder / "dynamics.tdds"));
    const Outcome shorter = train(folder, 4, {"--resume"});
    EXPECT_EQ(shorter.exit_code, 1);
    EXPECT_NE(shorter.err.find("with as many --epochs as it was begun with, or more"), std::string::npos)
        << shorter.err;
  }
}

// The cosine falls over all epochs: those of a longer run have other rates from the first step on.
TEST(ResumeProgramTest, ARunOnTheCosineIsNotMadeLonger) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", tiny(folder.str(), 2)).exit_code, 0);
  const std::string before = model_bytes(folder.str());
  const Outcome longer = run_tool("tdds-train", with(tiny(folder.str(), 4), {"--resume"}));
  EXPECT_EQ(longer.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(longer.err, "tdds-train")) << longer.err;
  for (const char* words : {"is of a run of 2 epochs, and this one has 4",
                            "the cosine schedule spreads the learning rate over all epochs",
                            "give --epochs 2, or start over with --overwrite"})
    EXPECT_NE(longer.err.find(words), std::string::npos) << longer.err;
  EXPECT_EQ(model_bytes(folder.str()), before);
  EXPECT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 2), {"--resume"})).exit_code, 0)
      << "the run is unchanged";
}

class ResumedRunTest : public testing::Test {
 protected:
  static std::vector<std::string> args(const TemporaryFolder& folder) {
    return with(tiny(folder.str(), 5), {"--batch-size", "30", "--dynamics"});
  }
  void SetUp() override { ASSERT_EQ(run_tool("tdds-train", args(whole_)).exit_code, 0); }

  // With a checkpoint after each of the eight steps of an epoch.
  Outcome resume(const Limits& limits = {}) const {
    return run_tool("tdds-train", with(args(folder_), {"--resume", "--checkpoint_minutes", "0"}), limits);
  }
  std::optional<StepState> state() const { return checkpoint_state(folder_.str()); }
  bool within_epoch(std::int32_t epoch) const {
    const auto at = state();
    return at && at->epoch == epoch && at->cursor > 0 && at->cursor <= 120;
  }
  void expect_the_whole_run() const {
    EXPECT_TRUE(model_bytes(whole_.str()) == model_bytes(folder_.str()));
    EXPECT_TRUE(read_text(whole_ / "dynamics.tdds") == read_text(folder_ / "dynamics.tdds"));
    EXPECT_EQ(metrics_but_times(whole_.str()), metrics_but_times(folder_.str()));
    EXPECT_EQ(metrics_but_times(folder_.str()).size(), 5u);
  }

  TemporaryFolder whole_, folder_;
};

TEST_F(ResumedRunTest, KilledAtAnyTimeEqualsTheUninterruptedRun) {
  const auto kill_when = [&](const char* moment, const std::function<bool()>& holds) {
    SCOPED_TRACE(moment);
    Outcome killed = resume({.kill_when = holds});
    EXPECT_EQ(killed.exit_code, 128 + SIGKILL) << killed.err;
    return killed;
  };
  kill_when("before any checkpoint",
            [&] { return !state() && std::filesystem::exists(folder_ / "log.txt"); });
  EXPECT_FALSE(state());

  Outcome next = kill_when("in the middle of the second epoch", [&] { return within_epoch(1); });
  EXPECT_NE(next.out.find("no checkpoint in"), std::string::npos) << next.out;
  ASSERT_TRUE(within_epoch(1));
  const std::string stands = fmt::format("resumed at epoch 1, image {} of 240", state()->cursor);

  next = kill_when("with an epoch's dynamics and metrics saved and its checkpoint not", [&] {
    const auto at = state();
    return at && metrics_but_times(folder_.str()).size() > static_cast<std::size_t>(at->epoch);
  });
  EXPECT_NE(next.out.find(stands), std::string::npos) << next.out;

  const Outcome resumed = run_tool("tdds-train", with(args(folder_), {"--resume"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_NE(resumed.out.find("later than the checkpoint and are recorded again"), std::string::npos)
      << resumed.out;
  EXPECT_NE(resumed.out.find("resumed at epoch"), std::string::npos) << resumed.out;
  expect_the_whole_run();
}

TEST_F(ResumedRunTest, AnInterruptSavesAndSaysHowToContinue) {
  const Outcome stopped = resume({.interrupt_when = [&] { return within_epoch(1); }});
  EXPECT_EQ(stopped.exit_code, 130);
  EXPECT_NE(stopped.err.find("--resume"), std::string::npos) << stopped.err;
  // The progress at the signal is saved, not only that of an earlier checkpoint.
  ASSERT_TRUE(state());
  // On a busy machine the signal may arrive in a later epoch, or at the end of one.
  const StepState at = *state();
  EXPECT_GE(at.epoch, 1);
  const std::string image = at.cursor > 0 ? fmt::format(" at image {}", at.cursor) : "";
  EXPECT_NE(stopped.err.find(fmt::format("in epoch {} of 5{};", at.epoch + 1, image)), std::string::npos)
      << stopped.err;
  const Outcome resumed = run_tool("tdds-train", with(args(folder_), {"--resume"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_NE(resumed.out.find(fmt::format("resumed at epoch {}, image {} of 240", at.epoch, at.cursor)),
            std::string::npos)
      << resumed.out;
  expect_the_whole_run();
}

// On a disk where saving takes longer than many epochs, most ends of epochs are not saved. A killed run
// resumes from the last one that was, and its results are complete in the end.
TEST_F(ResumedRunTest, EpochsThatEndFasterThanTheyAreSavedLoseNothing) {
  const auto on_slow_disk = [&](const Limits& limits) {
    const ScopedVariable disk("LD_PRELOAD", preload_path("slow_disk").c_str()),
        asan("ASAN_OPTIONS", "verify_asan_link_order=0");
    return run_tool("tdds-train", with(args(folder_), {"--resume"}), limits);
  };
  const Outcome killed =
      on_slow_disk({.kill_when = [&] { return metrics_but_times(folder_.str()).size() == 3; }});
  ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << killed.err;
  ASSERT_TRUE(state());
  EXPECT_EQ(state()->epoch, 1);
  const Outcome resumed = on_slow_disk({});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_NE(resumed.out.find("resumed at epoch 1, image 0 of 240"), std::string::npos) << resumed.out;
  expect_the_whole_run();
  EXPECT_TRUE(read_text(whole_ / "model_best.safetensors") == read_text(folder_ / "model_best.safetensors"));
  EXPECT_EQ(state()->epoch, 5);
}

// The best epoch's weights wait for the next save, which may come in the middle of a later epoch.
TEST_F(ResumedRunTest, AnInterruptAlsoSavesTheBestEpochThatWaited) {
  const ScopedVariable disk("LD_PRELOAD", preload_path("slow_disk").c_str()),
      asan("ASAN_OPTIONS", "verify_asan_link_order=0");
  const Outcome stopped =
      run_tool("tdds-train", args(folder_),
               {.interrupt_when = [&] { return metrics_but_times(folder_.str()).size() == 4; }});
  ASSERT_EQ(stopped.exit_code, 130) << stopped.err;
  const SafetensorsFile checkpoint(folder_ / "checkpoint.safetensors"),
      best(folder_ / "model_best.safetensors");
  const nlohmann::json history = nlohmann::json::parse(checkpoint.metadata().at("history"));
  ASSERT_GE(history.size(), 4u);
  std::size_t expected = 0;
  for (std::size_t i = 1; i < history.size(); ++i)
    if (history[i].at("test_accuracy") > history[expected].at("test_accuracy")) expected = i;
  EXPECT_EQ(best.metadata().at("epoch"), std::to_string(expected));
}

TEST(ResumeProgramTest, ResumingWithOtherOptionsIsRefused) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 3), {"--stop_after_epoch", "1"})).exit_code, 0);
  const Outcome other =
      run_tool("tdds-train", with(tiny(folder.str(), 3), {"--resume", "--momentum", "0.8"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("momentum"), std::string::npos) << other.err;
  EXPECT_TRUE(is_one_sentence(other.err, "tdds-train")) << other.err;
}

// Immediate and deferred, waiting after each command or not: the same bits.
TEST(ResumeProgramTest, DebugSyncChangesNoBit) {
  const TemporaryFolder plain, synced;
  ASSERT_EQ(run_tool("tdds-train", tiny(plain.str(), 2)).exit_code, 0);
  const Outcome outcome = run_tool("tdds-train", with(tiny(synced.str(), 2), {"--debug_sync"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(model_bytes(plain.str()) == model_bytes(synced.str()));
}

}  // namespace
}  // namespace tdds::test
