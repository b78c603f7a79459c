// What a run is a function of: its flags alone, whether it was killed, interrupted, out of disk, or none of it.

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

// Killed at whatever point 400 ms in: the checkpoint, if any, is whole, and the rest of the run makes up the
// difference.
TEST(ResumeProgramTest, KilledAndResumedEqualsUninterrupted) {
  const TemporaryFolder whole, killed;
  const auto args = [&](const TemporaryFolder& folder) {
    return with(tiny(folder.str(), 6), {"--dynamics", "--checkpoint_minutes", "0"});
  };
  ASSERT_EQ(run_tool("tdds-train", args(whole)).exit_code, 0);
  for (int delay : {150, 300, 450})
    run_tool("tdds-train", with(args(killed), {"--resume"}), {.kill_after_ms = delay});
  const Outcome resumed = run_tool("tdds-train", with(args(killed), {"--resume"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(model_bytes(whole.str()) == model_bytes(killed.str()));
  EXPECT_TRUE(read_text(whole / "dynamics.tdds") == read_text(killed / "dynamics.tdds"));
}

TEST(ResumeProgramTest, AnInterruptSavesAndSaysHowToGoOn) {
  const TemporaryFolder folder, whole;
  const Outcome stopped = run_tool("tdds-train", tiny(folder.str(), 400), {.interrupt_after_ms = 700});
  EXPECT_EQ(stopped.exit_code, 130);
  EXPECT_NE(stopped.err.find("--resume"), std::string::npos) << stopped.err;
  EXPECT_TRUE(std::filesystem::exists(folder / "checkpoint.safetensors"));
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

// The disk fills up while saving: the sentence names the file, and what was saved before is whole.
TEST(ResumeProgramTest, AFullDiskLosesNothingSaved) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 3), {"--stop_after_epoch", "1"})).exit_code, 0);
  const std::string before = read_text(folder / "checkpoint.safetensors");
  const Outcome full =
      run_tool("tdds-train", with(tiny(folder.str(), 3), {"--resume"}), {.file_bytes = 20000});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(full.err, "tdds-train")) << full.err;
  EXPECT_TRUE(read_text(folder / "checkpoint.safetensors") == before);
  EXPECT_EQ(run_tool("tdds-train", with(tiny(folder.str(), 3), {"--resume"})).exit_code, 0);
}

}  // namespace
}  // namespace tdds::test
