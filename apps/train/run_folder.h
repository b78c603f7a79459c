#pragma once
// The files in the folder of a run, and how those of an earlier run are protected and removed.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "apps/train/train_config.h"
#include "engine/io/file_lock.h"

namespace tdds {

inline constexpr const char* kCheckpointFile = "checkpoint.safetensors";
inline constexpr const char* kBestModelFile = "model_best.safetensors";
inline constexpr const char* kLastModelFile = "model_last.safetensors";
inline constexpr const char* kResultFile = "result.json";
inline constexpr const char* kDynamicsFile = "dynamics.tdds";
inline constexpr const char* kNpyFolder = "npy";

// Takes a lock that is held for the lifetime of the object. Throws Error if another process holds it, naming
// that process, `what` it works on ("the run in runs/a") and the `flag` that chooses another place.
std::unique_ptr<FileLock> lock_or_refuse(const std::filesystem::path& file, std::string_view what,
                                         std::string_view flag, LockMode mode = LockMode::kExclusive);

// Takes a lock, and waits while another process holds it. After a second it says so, with what that process
// does ("times plans"). Throws Interrupted once an active InterruptRequest is requested.
std::unique_ptr<FileLock> wait_for_lock(const std::filesystem::path& file, std::string_view does);

// Makes the folder of a run and locks it: no other process trains in it or removes its files. Readers need no
// lock.
std::unique_ptr<FileLock> lock_run_folder(const std::filesystem::path& folder);
// The same, but if another process is at work there, the lock is not held().
std::unique_ptr<FileLock> try_run_folder(const std::filesystem::path& folder);

// Makes the folder for a training and locks it. Throws UsageError if it holds a run or dynamics, and neither
// --resume nor --overwrite is given. Called before the data set is loaded, which may take minutes.
std::unique_ptr<FileLock> claim_run_folder(const TrainConfig& config);

// The file to evaluate: --init_weights, or the best epoch of the run in the folder. Throws UsageError if
// neither exists.
std::string weights_to_evaluate(const TrainConfig& config);

// Removes the files of a run that the next run may not write again, so that files of two runs are never
// mixed. Scores and masks stay, because they record the run that they belong to.
void remove_run(const std::filesystem::path& folder);

}  // namespace tdds
