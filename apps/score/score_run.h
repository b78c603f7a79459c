#pragma once
// The work of tdds-score between its flags and its files: computing scores and selecting samples.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/config_file.h"
#include "apps/score/missing_visits.h"
#include "apps/score/score_output.h"
#include "kernels/runtime/device.h"
#include "tdds/dynamics/dynamics_source.h"
#include "tdds/methods/method.h"
#include "tdds/selection/strategy.h"

namespace tdds {

struct ScoreOptions {
  std::string dynamics_path = "./checkpoint/all-dataset/npy/";
  std::string mask_path = "./checkpoint/generated_mask/";
  std::vector<std::string> methods{"tdds"};
  std::vector<int> trajectory_lens{10}, window_sizes{10};
  double decay = 0.9;
  MethodOptions method;
  MissingVisitsFlags missing;
  std::optional<std::uint64_t> seed;  // of the draws; empty: the recorded run's
  std::optional<double> subset_rate,
      keep;  // neither: nothing is selected. keep: a share below 1, or a number
  std::string selection = "top";
  CcsOptions ccs;
  double beta_c = 4;
  std::vector<std::string> formats{"npy", "json"};
  std::vector<std::string> exports;  // list, csv, links
  std::string export_dir, data_path;
  DeviceKind device = DeviceKind::kCpu;
  int gpu = 0;
  int threads = 0;
  bool list = false;
  ConfigFlags files;  // of flags
};

// A score with its names, files in `folder` and description.
ScoredMethod describe(const std::string& folder, const Method& method, MethodScore computed);

// Computes every requested score, TDDS once for each pair of trajectory length and window. Pairs in which the
// window does not fit are reported and left out. Throws UsageError for unknown names and invalid settings.
std::vector<ScoredMethod> run_methods(const ScoreOptions& options, const DynamicsSource& source,
                                      Device& device);

// The words that --selection takes.
const std::vector<std::string>& selection_names();
// What one of them keeps: "the highest scores".
const char* kept_by(const std::string& selection);
// Whether a selection is requested. Throws UsageError for rates, numbers and combinations that are not valid.
bool selects(const ScoreOptions& options);
// The requested pruning rate for a number of samples.
double pruning_rate(const ScoreOptions& options, std::int64_t samples);

// The samples that options.selection keeps at that rate. source: the recording; null if it is gone, and then
// only top and bottom are possible.
Selection select(const ScoredMethod& scored, const ScoreOptions& options, const DynamicsSource* source);

}  // namespace tdds
