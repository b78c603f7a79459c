#pragma once
// What tdds-sweep is asked for, beside the flags of a training (apps/training_flags.h).

#include <cstdint>
#include <string>
#include <vector>

#include "apps/training_flags.h"

namespace CLI {
class App;
}

namespace tdds {

struct SweepFlags {
  std::vector<std::string> methods{"tdds", "random"};
  std::vector<double> rates{0.3, 0.5, 0.7, 0.8, 0.9};  // pruned shares
  std::vector<std::uint64_t> seeds{1, 2, 3};
  std::string budget = "epochs";
  // One value for all rates, or one for each.
  std::vector<int> trajectory_lens, window_sizes;  // empty: by the rate, see tdds_setting
  std::vector<std::int32_t> subset_batches{128};
  std::vector<double> ccs_betas{0.2};
  double score_decay = 0.9, beta_c = 4;
  int ccs_strata = 50;
  std::int32_t method_epochs = 0, method_window = 0;  // 0: see method_window()
  bool no_score_weighting = false, keep_models = false;
};

// Declares these and those of a training, but for the ones that a sweep decides itself.
void declare_sweep_flags(CLI::App& app, SweepFlags& flags, TrainingFlags& training);

// The flags that leave every result as it is: the same sweep may go on with other values.
bool changes_no_result(const std::string& flag);

}  // namespace tdds
