#pragma once
// The runs of a sweep, from its flags: everything that can be wrong with them is found before the first one.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/sweep/sweep_flags.h"
#include "engine/data/dataset.h"
#include "tdds/methods/tdds_score.h"

namespace tdds {

// A row of the table: which score, and how the kept are chosen by it.
struct SweepMethod {
  std::string name;       // in tables and folders: "tdds", "aum+balanced", "ccs"
  const Method* score;    // as in tdds-score --method
  std::string selection;  // top, bottom, balanced, ccs, beta
};

// The methods by the names given, each once. Throws UsageError for what is unknown.
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

// (T, J) of --trajectory_len and --window_size for a rate; where they are not given, what the help says.
ScoreSetting tdds_setting(const SweepFlags& flags, std::size_t rate_index, std::int32_t epochs);

// J of the other methods with windows: --method_window, or by its help.
std::int32_t method_window(const SweepFlags& flags, std::int32_t epochs);

// Throws UsageError for what makes no sense, whatever the data.
void check_sweep(const SweepFlags& flags, const TrainConfig& config);

// The trainings on subsets in their order: seeds, in a seed the rates, in a rate the methods. Throws
// UsageError or Error where the data do not suffice for them.
std::vector<SweepRun> plan_sweep(const SweepFlags& flags, const TrainConfig& config, const Dataset& data);

// Where the training on all samples of a seed goes: "seed1/all"; its scores: "seed1/scores"; a training on a
// subset: "seed1/tdds_0.5".
std::string scoring_folder(std::uint64_t seed);
std::string scores_folder(std::uint64_t seed);
std::string run_folder(std::uint64_t seed, const std::string& method, double rate);

}  // namespace tdds
