#pragma once
// The flags of tdds-sweep, in addition to those of a training (apps/train/train_config.h).

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/train/train_config.h"

namespace tdds {

// What trainings on subsets share with those on all samples: the number of epochs, or about the number of
// steps.
enum class Budget : std::uint8_t { kEpochs, kSteps };
inline constexpr std::array kBudgets{Budget::kEpochs, Budget::kSteps};
const char* to_string(Budget budget);  // "epochs", "steps"

struct SweepFlags {
  std::vector<std::string> methods{"tdds", "random"};
  std::vector<double> rates{0.3, 0.5, 0.7, 0.8, 0.9};  // pruned shares
  std::vector<std::uint64_t> seeds{1, 2, 3};
  Budget budget = Budget::kEpochs;
  std::optional<std::int32_t> batch_size = {};  // on all samples
  // One value for all rates, or one for each.
  std::vector<int> trajectory_lens = {}, window_sizes = {};  // empty: by the rate, see tdds_setting
  std::vector<std::int32_t> subset_batches = {};             // empty: see settle_batches
  std::vector<double> ccs_betas{0.2};
  double score_decay = 0.9, beta_c = 4;
  int ccs_strata = 50;
  std::int32_t method_epochs = 0, method_window = 0;  // 0: see method_window()
  bool no_score_weighting = false, keep_models = false;
  std::string shard = {};  // "0/4", or empty: a sweep of one process
  bool merge = false;      // join the records of shards
};

// These and those of a training, except the ones that a sweep decides itself.
FlagTable sweep_flags(SweepFlags& flags, TrainConfig& config);

// Sets the batch sizes that are not given. Subsets take --batch_size if it is given, so that runs are
// comparable; otherwise both take the sizes of the official code, 100 and 128.
void settle_batches(SweepFlags& flags, TrainConfig& config);

// Whether the record of a sweep holds the flag. The folder may be moved, and the others are of one process.
bool is_recorded(const std::string& flag);

// Whether a flag leaves every result unchanged, so that a sweep may continue with another value.
bool changes_no_result(const std::string& flag);

}  // namespace tdds
