// The disk fills up while a run saves: the error names the file, earlier saves stay complete, and the run
// resumes from them to the same results.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/io/dynamics_store.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> files_below(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), folder).string()] = read_text(entry.path().string());
  return files;
}

struct FullDisk {
  const char* name;
  const char* file;                // the first file that does not fit
  long room;                       // how many bytes larger than it a file may be
  std::vector<std::string> flags;  // make all files that are written earlier smaller
};

class FullDiskTest : public testing::TestWithParam<FullDisk> {};

TEST_P(FullDiskTest, LosesNothingSaved) {
  const FullDisk& disk = GetParam();
  const TemporaryFolder whole, folder;
  const auto train = [&](const TemporaryFolder& to, const std::vector<std::string>& more,
                         const Limits& limits = {}) {
    return run_tool("tdds-train", with(with(tiny(to.str(), 3), with({"--dynamics_npy"}, disk.flags)), more),
                    limits);
  };
  ASSERT_EQ(train(whole, {}).exit_code, 0);
  ASSERT_EQ(train(folder, {"--stop_after_epoch", "1"}).exit_code, 0);
  const auto before = files_below(folder.str());

  const long limit = static_cast<long>(fs::file_size(folder / disk.file)) + disk.room;
  const Outcome full = train(folder, {"--resume"}, {.file_bytes = limit});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(full.err, "tdds-train")) << full.err;
  const std::string in_epoch_2 =
      fs::path(disk.file).filename() == "0_Output.npy" ? "npy/1_Output.npy" : disk.file;
  EXPECT_NE(full.err.find((folder / in_epoch_2) + " cannot be written"), std::string::npos) << full.err;
  EXPECT_NE(full.err.find("file-size limit"), std::string::npos) << full.err;

  auto after = files_below(folder.str());
  for (const auto& [name, bytes] : after) EXPECT_FALSE(name.ends_with(".tmp")) << name;
  for (const auto& [name, bytes] : before) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(after.contains(name));
    if (name.starts_with("npy/") || name == "checkpoint.safetensors") {
      EXPECT_TRUE(after[name] == bytes);
    } else if (name.ends_with(".safetensors")) {
      EXPECT_EQ(SafetensorsFile(folder / name).tensors().size(),
                SafetensorsFile(whole / name).tensors().size());
    } else if (name == "dynamics.tdds" || name == "log.txt" || name == "metrics.jsonl") {
      EXPECT_TRUE(after[name].starts_with(bytes)) << "appended files keep their beginning";
    }
  }
  EXPECT_GE(DynamicsReader(folder / "dynamics.tdds").epochs(), 1);

  const Outcome resumed = train(folder, {"--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(metrics_but_times(whole.str()), metrics_but_times(folder.str()));
  const auto expected = files_below(whole.str());
  after = files_below(folder.str());
  for (const auto& [name, bytes] : expected)
    if (name.starts_with("npy/") || name.ends_with(".safetensors") || name == "dynamics.tdds") {
      if (name == "checkpoint.safetensors") continue;  // it holds times
      EXPECT_TRUE(after[name] == bytes) << name;
    }
}

INSTANTIATE_TEST_SUITE_P(
    At, FullDiskTest,
    testing::Values(FullDisk{"Log", "log.txt", 100, {}},
                    FullDisk{"Dynamics", "dynamics.tdds", 100, {"--shapes_train", "600"}},
                    FullDisk{
                        "Npy", "npy/0_Output.npy", -1, {"--dynamics_fields", "kl", "--shapes_train", "600"}},
                    FullDisk{"BestModel", "model_best.safetensors", -1, {}},
                    FullDisk{"Checkpoint", "checkpoint.safetensors", -1, {}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tdds::test
