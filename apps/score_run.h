#pragma once
// The work of tdds-score between its flags and its files: which scores and which samples.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/score_output.h"
#include "kernels/device.h"
#include "tdds/dynamics_source.h"
#include "tdds/methods/method.h"
#include "tdds/strategy.h"

namespace tdds {

struct ScoreOptions {
  std::string dynamics_path = "./checkpoint/all-dataset/npy/";
  std::string mask_path = "./checkpoint/generated_mask/";
  std::vector<std::string> methods{"tdds"};
  std::vector<int> trajectory_lens{10}, window_sizes{10};
  double decay = 0.9;
  MethodOptions method;
  double subset_rate = 0;
  std::string selection = "top";
  CcsOptions ccs;
  double beta_c = 4;
  std::vector<std::string> formats{"npy", "json"};
  std::string device = "cpu";
  int threads = 0;
  bool list = false;
};

// Every score asked for: TDDS once for each pair of trajectory length and window. Pairs of lists in which the
// window does not fit are told and left out. Throws UsageError for names and settings that make no sense.
std::vector<ScoredMethod> compute_scores(const ScoreOptions& options, const DynamicsSource& source,
                                         Device& device);

// The kept samples by options.selection at options.subset_rate.
Selection select(const ScoredMethod& scored, const ScoreOptions& options, const DynamicsSource& source);

}  // namespace tdds
