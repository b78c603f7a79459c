#pragma once
// What lies in the folder of a run, and what may happen to what an earlier run left there.

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

// Takes a lock that is held until the object goes. Throws Error where another process holds it, naming that,
// `what` it works on ("the run in runs/a") and the `flag` by which to choose another place.
std::unique_ptr<FileLock> lock_or_refuse(const std::filesystem::path& file, std::string_view what,
                                         std::string_view flag);

// Makes the folder of a run and takes it for this process: nobody else trains in it or removes anything
// there. Readers need no lock.
std::unique_ptr<FileLock> lock_run_folder(const std::filesystem::path& folder);

// Makes the folder for a training and locks it. Throws UsageError where it holds a run, or dynamics, and the
// flags say neither to go on nor to start anew. Called before the data set is loaded, which may take minutes.
std::unique_ptr<FileLock> claim_run_folder(const TrainConfig& config);

// The file to evaluate: --init_weights, or the best epoch of the run in the folder. Throws UsageError where
// there is none.
std::string weights_to_evaluate(const TrainConfig& config);

// Removes what a run leaves and another may not write again, so that nothing of two runs is ever taken for
// one's. Scores and masks stay: they say which run they are of.
void remove_run(const std::filesystem::path& folder);

}  // namespace tdds
