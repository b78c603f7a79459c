// Files that an older version wrote (tests/fixtures, made by make_old_files.sh there): read, resumed and
// continued.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/io/dynamics_store.h"
#include "kernels/runtime/device.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/paths.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A copy of the files of one version.
class OldFilesTest : public testing::TestWithParam<const char*> {
 protected:
  OldFilesTest() {
    fs::copy(source_path(std::string("tests/fixtures/") + GetParam()), folder_.str(),
             fs::copy_options::recursive);
  }
  std::string at(const std::string& name) const { return folder_ / name; }

  // The flags of make_old_files.sh.
  static std::vector<std::string> common() {
    return {"--threads", "1", "--width", "0.03125", "--learning_rate", "0.05"};
  }
  static std::vector<std::string> shapes() {
    return with(common(), {"--dataset", "shapes", "--shapes_train", "120", "--shapes_test", "40",
                           "--batch_size", "30"});
  }
  std::vector<std::string> images() const {
    return with(common(), {"--dataset", "folder", "--data_path", at("images"), "--image_size", "8",
                           "--cache_dir", at("cache"), "--batch_size", "8"});
  }
  static Outcome run(const std::string& program, const std::vector<std::string>& args) {
    Outcome outcome = run_tool(program, args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome;
  }
  void expect_resumed(const Outcome& outcome) const {
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("resumed at epoch 4, image 0 of 120"), HasSubstr("test set")));
    EXPECT_EQ(DynamicsReader(at("run/dynamics.tdds")).epochs(), 6);
    EXPECT_EQ(metrics_but_times(at("run")).size(), 6u);
    EXPECT_TRUE(fs::exists(at("run/result.json")));
  }
  // The sweep has runs of both seeds and methods, and finished runs are unchanged.
  void expect_continued(const Json& before) const {
    const Json now = Json::parse(read_text(at("sweep/sweep.json")));
    EXPECT_EQ(now.at("scoring_runs").size(), 2u);
    EXPECT_EQ(now.at("runs").size(), 4u);
    EXPECT_EQ(now.at("scoring_runs")[0], before.at("scoring_runs")[0]);
    for (std::size_t i = 0; i < before.at("runs").size(); ++i)
      EXPECT_EQ(now.at("runs")[i], before.at("runs")[i]);
    EXPECT_TRUE(now.at("images").contains("test_fingerprint"));
    EXPECT_EQ(now.at("settings").at("stem"), "cifar");
  }

  TemporaryFolder folder_;
};

TEST_P(OldFilesTest, RecordingsGiveTheSameScores) {
  const std::vector<std::string> settings{"--method", "tdds,aum",      "--trajectory_len",
                                          "4",        "--window_size", "3"};
  for (const auto& [recording, masks] :
       {std::pair<const char*, const char*>{"run", "run_masks"}, {"folder_run", "folder_run/masks"}}) {
    run("tdds-score", with({"--dynamics_path", at(recording), "--mask_path", at("now")}, settings));
    for (const char* name : {"data_mask_aum.npy", "data_mask_win3_ep4.npy"})
      EXPECT_TRUE(read_text(at("now/") + name) == read_text(at(masks) + "/" + name))
          << recording << ": " << name;
  }
}

TEST_P(OldFilesTest, RecordingsAndSweepsAreReported) {
  for (const char* recording : {"run", "folder_run"})
    run("tdds-report", {"--dynamics_path", at(recording), "--output", at("report.html")});
  run("tdds-report", {"--dynamics_path", at("folder_run"), "--dataset", "folder", "--data_path", at("images"),
                      "--image_size", "8", "--output", at("report.html")});
  run("tdds-report", {"--sweep", at("sweep/sweep.json"), "--output", at("report.html")});
}

TEST_P(OldFilesTest, ARunIsResumedWithItsFlags) {
  expect_resumed(run("tdds-train",
                     with(shapes(), {"--epochs", "6", "--dynamics", "--save_path", at("run"), "--resume"})));
}

TEST_P(OldFilesTest, ARunIsResumedWithoutThem) {
  const Outcome resumed = run("tdds-train", {"--save_path", at("run"), "--resume", "--threads", "1"});
  expect_resumed(resumed);
  EXPECT_THAT(resumed.out, AllOf(HasSubstr("--width 0.03125"), HasSubstr("--shapes_train 120"),
                                 HasSubstr("--dynamics true"), Not(HasSubstr("--stop_after_epoch"))));
}

// As on a machine with other instructions, or another version of oneDNN.
TEST_P(OldFilesTest, ARunIsResumedWithOtherConvolutionCode) {
  const ScopedVariable fewer("TDDS_CPU_ISA", "avx2");
  const Outcome resumed = run("tdds-train", {"--save_path", at("run"), "--resume", "--threads", "1"});
  expect_resumed(resumed);
  EXPECT_THAT(resumed.out, HasSubstr("was made with other convolution code"));
}

TEST_P(OldFilesTest, AFinishedRunOnImagesIsReadAndStaysUnchanged) {
  const std::string before = read_text(at("folder_run/dynamics.tdds"));
  const auto args = with(images(), {"--epochs", "4", "--dynamics", "--save_path", at("folder_run")});
  run("tdds-train", with(args, {"--evaluate"}));
  run("tdds-train", with(args, {"--resume"}));
  EXPECT_TRUE(read_text(at("folder_run/dynamics.tdds")) == before);
}

TEST_P(OldFilesTest, MasksAreTrainedOn) {
  const auto subset = [&](const std::string& masks) {
    return std::vector<std::string>{"--epochs",
                                    "2",
                                    "--subset_rate",
                                    "0.5",
                                    "--save_path",
                                    at("sub"),
                                    "--overwrite",
                                    "--mask_path",
                                    masks + "/data_mask_win3_ep4.npy",
                                    "--score_path",
                                    masks + "/score_win3_ep4.npy"};
  };
  run("tdds-train-subset", with(shapes(), subset(at("run_masks"))));
  run("tdds-train-subset", with(images(), subset(at("folder_run/masks"))));
}

TEST_P(OldFilesTest, ASweepIsContinuedWithItsFlags) {
  const Json before = Json::parse(read_text(at("sweep/sweep.json")));
  const Outcome outcome = run(
      "tdds-sweep", with(shapes(), {"--epochs", "12", "--methods", "tdds,random", "--rates", "0.5", "--seeds",
                                    "1,2", "--subset_batch_size", "20", "--save_path", at("sweep")}));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("3 are done"), HasSubstr("test set"), HasSubstr("--stem cifar")));
  expect_continued(before);
}

TEST_P(OldFilesTest, ASweepIsContinuedWithoutThem) {
  const Json before = Json::parse(read_text(at("sweep/sweep.json")));
  run("tdds-sweep", {"--save_path", at("sweep"), "--threads", "1"});
  expect_continued(before);
}

INSTANTIATE_TEST_SUITE_P(All, OldFilesTest, testing::Values("bd95c2b"));

// Changes the identity in the checkpoint, as if another version had written it.
void change_identity(const std::string& path, const std::function<void(Json&)>& change) {
  const std::string bytes = read_text(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const std::string tensors = bytes.substr(8 + length);
  Json header = Json::parse(bytes.substr(8, length));
  Json& metadata = header["__metadata__"];
  Json identity = Json::parse(metadata["identity"].get<std::string>());
  change(identity);
  metadata["identity"] = identity.dump();
  metadata.erase("flags");
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  length = text.size();
  write_text(path, std::string(reinterpret_cast<const char*>(&length), sizeof length) + text + tensors);
}

TEST(OlderVersionTest, AMissingKeyMeansTheValueOfThatTime) {
  const TemporaryFolder run;
  const std::string checkpoint = run / "checkpoint.safetensors";
  ASSERT_EQ(
      run_tool("tdds-train", with(tiny(run.str(), 3), {"--stop_after_epoch", "1", "--conv_algo", "direct"}))
          .exit_code,
      0);
  change_identity(checkpoint, [](Json& identity) {
    for (const char* key : {"conv_algo", "label_smoothing", "subset", "shuffle", "sync_batchnorm"})
      identity.erase(key);
  });
  const auto resume = [&](const std::vector<std::string>& more) {
    return run_tool("tdds-train",
                    with(with(tiny(run.str(), 3), {"--resume", "--stop_after_epoch", "2"}), more));
  };
  const Outcome other = resume({"--conv_algo", "winograd"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("was made with conv_algo 'direct', and this run has 'winograd'"));
  const Outcome synced = resume({"--sync_batchnorm"});
  EXPECT_EQ(synced.exit_code, 1);
  EXPECT_THAT(synced.err, HasSubstr("was made with sync_batchnorm 'false', and this run has 'true'"));
  const Outcome resumed = resume({});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out,
              AllOf(HasSubstr("conv_algo direct"), HasSubstr("label_smoothing 0"),
                    HasSubstr("sync_batchnorm false"), HasSubstr("subset"), HasSubstr("shuffle")));
}

// Checkpoints of the first GPU kernels have no number. A CPU has no such kernels.
TEST(OlderVersionTest, OtherGpuKernelsAreNoted) {
  const TemporaryFolder simt, cpu;
  const auto run = [](const TemporaryFolder& folder, const char* device, const char* stop) {
    const Outcome outcome =
        run_tool("tdds-train",
                 with(tiny(folder.str(), 5), {"--device", device, "--shapes_train", "40", "--shapes_test",
                                              "10", "--resume", "--stop_after_epoch", stop}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string here = fmt::format("here {})", kGpuArithmetic),
                    note = "was made with other GPU kernels (number ";
  run(simt, "simt", "1");
  EXPECT_THAT(run(simt, "simt", "2"), Not(HasSubstr(note)));
  change_identity(simt / "checkpoint.safetensors", [](Json& identity) { identity.erase("gpu_arithmetic"); });
  EXPECT_THAT(run(simt, "simt", "3"),
              HasSubstr("note: " + simt / "checkpoint.safetensors" + " " + note + "1; " + here));
  change_identity(simt / "checkpoint.safetensors", [](Json& identity) { identity["gpu_arithmetic"] = "99"; });
  EXPECT_THAT(run(simt, "simt", "4"), HasSubstr(note + "99; " + here));
  EXPECT_THAT(run(simt, "simt", "5"), Not(HasSubstr(note))) << "the number is that of the last save";
  run(cpu, "cpu", "1");
  EXPECT_THAT(run(cpu, "cpu", "2"), Not(HasSubstr(note)));
}

TEST(OlderVersionTest, AMissingFlagOfASweepMeansItsDefault) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str(), 3), {"--methods", "random", "--rates", "0.5", "--seeds", "1"});
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  Json sweep = Json::parse(read_text(folder / "sweep.json"));
  for (const char* flag : {"label_smoothing", "stem", "corrupt"}) sweep["settings"].erase(flag);
  write_text(folder / "sweep.json", sweep.dump());
  const Outcome other = run_tool("tdds-sweep", with(args, {"--label_smoothing", "0.1"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("was started with --label_smoothing 0, and this command has 0.1"));
  const Outcome same = run_tool("tdds-sweep", args);
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.out, AllOf(HasSubstr("--label_smoothing 0"), HasSubstr("--stem cifar")));
}

}  // namespace
}  // namespace tdds::test
