#include "apps/train/run_folder.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "apps/cli/interrupt.h"
#include "apps/cli/output.h"
#include "engine/io/files.h"
#include "engine/io/system_reason.h"
#include "kernels/runtime/check.h"
#include "tdds/methods/moderate.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRunLock = ".lock";

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

// A file that shows that the folder holds a run, or "" if no file does.
std::string trace_of_run(const fs::path& folder) {
  for (const char* name : {kCheckpointFile, kDynamicsFile})
    if (fs::exists(folder / name)) return name;
  const std::vector<fs::path> files = official_files(folder);
  return files.empty() ? "" : fmt::format("{}/{}", kNpyFolder, files.front().filename().string());
}

}  // namespace

std::unique_ptr<FileLock> lock_or_refuse(const fs::path& file, std::string_view what, std::string_view flag,
                                         LockMode mode) {
  auto lock = std::make_unique<FileLock>(file, mode);
  check(lock->held(), "{} is working on {}: wait until it has ended, or choose another {}", lock->holder(),
        what, flag);
  return lock;
}

std::unique_ptr<FileLock> wait_for_lock(const fs::path& file, std::string_view does) {
  constexpr int kQuiet = 50;  // tries
  auto lock = std::make_unique<FileLock>(file);
  for (int tries = 1; !lock->held(); ++tries) {
    heed_interrupt("stopped while it waited for another process; run the same command again to continue");
    if (tries == kQuiet) {
      print_out("waiting for {}, which {}\n", lock->holder(), does);
      flush_output();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    lock->try_again();
  }
  return lock;
}

std::unique_ptr<FileLock> try_run_folder(const fs::path& folder) {
  make_folder(folder);
  return std::make_unique<FileLock>(folder / kRunLock);
}

std::unique_ptr<FileLock> lock_run_folder(const fs::path& folder) {
  make_folder(folder);
  return lock_or_refuse(folder / kRunLock, fmt::format("the run in {}", folder.string()), "--save_path");
}

std::unique_ptr<FileLock> claim_run_folder(const TrainConfig& config) {
  check_usage(!config.resume || !config.overwrite,
              "--resume and --overwrite contradict each other; give one of them");
  std::unique_ptr<FileLock> lock = lock_run_folder(config.save_path);
  const std::string trace = config.resume || config.overwrite ? "" : trace_of_run(config.save_path);
  check_usage(trace.empty(),
              "{} already holds a run ({}); add --resume to continue it, --overwrite to start over, or "
              "choose another --save_path",
              config.save_path, trace);
  return lock;
}

std::string weights_to_evaluate(const TrainConfig& config) {
  if (!config.init_weights.empty()) return config.init_weights;
  const fs::path best = fs::path(config.save_path) / kBestModelFile;
  check_usage(
      fs::exists(best),
      "there is nothing to evaluate: {} does not exist; give the --save_path of a run, or --init_weights",
      best.string());
  return best.string();
}

void remove_run(const fs::path& folder) {
  std::vector<fs::path> files = official_files(folder);
  for (const char* name :
       {kCheckpointFile, kBestModelFile, kLastModelFile, kResultFile, kDynamicsFile, "curve.svg", "curve.png",
        "planted.csv", "wrong_label_ids.npy", "manifest.tsv", "train_ids.npy"})
    files.push_back(folder / name);
  files.emplace_back(features_beside((folder / kDynamicsFile).string()));
  for (const fs::path& file : files) {
    std::error_code why;
    fs::remove(file, why);
    check(!why, "{} of an earlier run cannot be removed: {}", file.string(),
          system_reason(why.value(), "remove it, or choose another --save_path"));
  }
}

}  // namespace tdds
