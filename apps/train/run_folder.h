#pragma once
// What lies in the folder of a run, and what may happen to what an earlier run left there.

#include <filesystem>
#include <string>

#include "apps/training_flags.h"

namespace tdds {

inline constexpr const char* kCheckpointFile = "checkpoint.safetensors";
inline constexpr const char* kBestModelFile = "model_best.safetensors";
inline constexpr const char* kLastModelFile = "model_last.safetensors";
inline constexpr const char* kResultFile = "result.json";
inline constexpr const char* kDynamicsFile = "dynamics.tdds";
inline constexpr const char* kNpyFolder = "npy";

// Makes the folder for a training. Throws UsageError where it holds a run, or dynamics, and the flags say neither to go on
// nor to start anew. Called before the data set is loaded, which may take minutes.
void claim_run_folder(const TrainingFlags& flags);

// The file to evaluate: --init_weights, or the best epoch of the run in the folder. Throws UsageError where there is none.
std::string weights_to_evaluate(const TrainingFlags& flags);

// Removes what a run leaves and another may not write again, so that nothing of two runs is ever taken for one's. Scores
// and masks stay: they say which run they are of.
void remove_run(const std::filesystem::path& folder);

}  // namespace tdds
