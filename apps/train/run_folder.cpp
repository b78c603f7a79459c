#include "apps/run_folder.h"

#include <algorithm>
#include <array>

#include "engine/files.h"
#include "kernels/check.h"
#include "tdds/moderate.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

// "<epoch>_Loss.npy" and so on.
bool is_official(const fs::path& file) {
  constexpr std::array<std::string_view, 3> kEnds{"_Loss.npy", "_Output.npy", "_Index.npy"};
  const std::string name = file.filename().string();
  return std::any_of(kEnds.begin(), kEnds.end(), [&](std::string_view end) { return name.ends_with(end); });
}

std::vector<fs::path> official_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code absent;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / kNpyFolder, absent))
    if (is_official(entry.path())) files.push_back(entry.path());
  return files;
}

// The file that shows a run, or "".
std::string trace_of_run(const fs::path& folder) {
  for (const char* name : {kCheckpointFile, kDynamicsFile})
    if (fs::exists(folder / name)) return name;
  const std::vector<fs::path> files = official_files(folder);
  return files.empty() ? "" : fmt::format("{}/{}", kNpyFolder, files.front().filename().string());
}

}  // namespace

void claim_run_folder(const TrainingFlags& flags) {
  check_usage(!flags.resume || !flags.overwrite,
              "--resume and --overwrite contradict each other; give one of them");
  const std::string trace = flags.resume || flags.overwrite ? "" : trace_of_run(flags.save_path);
  check_usage(trace.empty(),
              "{} already holds a run ({}); add --resume to go on with it, --overwrite to start anew, or "
              "choose another "
              "--save_path",
              flags.save_path, trace);
  make_folder(flags.save_path);
}

std::string weights_to_evaluate(const TrainingFlags& flags) {
  if (!flags.init_weights.empty()) return flags.init_weights;
  const fs::path best = fs::path(flags.save_path) / kBestModelFile;
  check_usage(
      fs::exists(best),
      "there is nothing to evaluate: {} is not there; give the --save_path of a run, or --init_weights",
      best.string());
  return best.string();
}

void remove_run(const fs::path& folder) {
  std::vector<fs::path> files = official_files(folder);
  for (const char* name :
       {kCheckpointFile, kBestModelFile, kLastModelFile, kResultFile, kDynamicsFile, "curve.png",
        "planted.csv", "wrong_label_ids.npy", "manifest.tsv", "train_ids.npy"})
    files.push_back(folder / name);
  files.emplace_back(features_beside((folder / kDynamicsFile).string()));
  for (const fs::path& file : files) {
    std::error_code why;
    fs::remove(file, why);
    check(!why, "{} of an earlier run cannot be removed: {}; remove it, or choose another --save_path",
          file.string(), why.message());
  }
}

}  // namespace tdds
