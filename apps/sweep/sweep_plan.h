#pragma once
// Plans the runs of a sweep from its flags. Errors in the flags are found before the first run.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/sweep/sweep_flags.h"
#include "engine/data/dataset.h"
#include "tdds/methods/tdds_score.h"

namespace tdds {

// A row of the table: a score, and how the kept samples are chosen by it.
struct SweepMethod {
  std::string name;       // in tables and folders: "tdds", "aum+balanced", "ccs"
  const Method* score;    // as in tdds-score --method
  std::string selection;  // top, bottom, balanced, ccs, beta
};

// The methods with these names, each once. Throws UsageError for unknown names.
std::vector<SweepMethod> parse_methods(const std::vector<std::string>& names);

// Whether one of them needs --dynamics_features.
bool need_features(const std::vector<SweepMethod>& methods);

struct SweepRun {
  SweepMethod method;
  double rate = 0;
  std::uint64_t seed = 0;
  std::int64_t kept = 0;
  std::int32_t epochs = 0, batch = 0;
  std::int64_t steps = 0;  // of the optimizer, in all epochs
  ScoreSetting setting;    // of TDDS
  double ccs_beta = 0;
  std::string folder;  // "seed1/tdds_0.5"
};

// (T, J) of --trajectory_len and --window_size for a rate; if they are not given, the defaults that the help
// describes.
ScoreSetting tdds_setting(const SweepFlags& flags, std::size_t rate_index, std::int32_t epochs);

// J of the other methods with windows: --method_window, or the default that its help describes.
std::int32_t method_window(const SweepFlags& flags, std::int32_t epochs);

// Throws UsageError for flags that are invalid for any data set.
void check_sweep(const SweepFlags& flags, const TrainConfig& config);

// The trainings on subsets, ordered by seed, then rate, then method. Throws UsageError or Error if the data
// set is too small for them.
std::vector<SweepRun> plan_sweep(const SweepFlags& flags, const TrainConfig& config, const Dataset& data);

// Where the training on all samples of a seed goes: "seed1/all"; its scores: "seed1/scores"; a training on a
// subset: "seed1/tdds_0.5".
std::string scoring_folder(std::uint64_t seed);
std::string scores_folder(std::uint64_t seed);
std::string run_folder(std::uint64_t seed, const std::string& method, double rate);

}  // namespace tdds
