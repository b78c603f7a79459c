#include "apps/sweep/sweep_flags.h"

#include <algorithm>

#include "kernels/runtime/check.h"
#include "tdds/methods/method.h"

namespace tdds {
namespace {

FlagTable sweep_only_flags(SweepFlags& flags) {
  FlagTable table{
      {"methods", &flags.methods,
       "The methods to compare, a list. Each is one of tdds-score --list; ccs (strata of aum without the "
       "hardest); dual_beta (dual, drawn with Beta weights); or a method with a selection other than the "
       "highest scores: tdds+balanced, el2n+ccs, aum+bottom. 'every' stands for all but the last kind. A "
       "sweep always trains on all samples too."},
      {"rates", &flags.rates,
       "Pruning rates, a list: the shares left out. --trajectory_len, --window_size, --subset_batch_size and "
       "--ccs_beta take one value, or one for each rate."},
      {"seeds", &flags.seeds, "Seeds, a list. Each trains, scores, selects and trains again."},
      {"subset_batch_size", &flags.subset_batches,
       "Images in a step on subsets. Default: --batch_size; if that is not given either, 128, as in the "
       "official code. Smaller ones help at high rates: 64 at 0.8, 32 at 0.9."},
      {"budget", choice(flags.budget, kBudgets),
       "Length of trainings on subsets. epochs: as many as on all samples, so fewer steps, as in the paper. "
       "steps: as many steps, to the nearest whole epoch."}};
  append(
      table,
      advanced({{"no_score_weighting", &flags.no_score_weighting,
                 "TDDS: do not weight the loss by the scores. The official code multiplies a batch's loss by "
                 "the mean of its samples' scores, scaled to 0..1; that acts as a lower learning rate."},
                {"keep_models", &flags.keep_models, "Keep the weights of every run, the best and the last.",
                 FlagScope::kPlace},
                {"shard", &flags.shard,
                 "i/n: this process is one of n that share the sweep in --save_path, 0 <= i < n, as "
                 "SLURM_ARRAY_TASK_ID counts with --array=0-7. Each run is taken by one of them. Start them "
                 "all by one command, on any machines that see the folder.",
                 FlagScope::kStart},
                {"merge", &flags.merge,
                 "Join what the shards recorded, once all runs are done. It trains nothing.",
                 FlagScope::kStart}}));
  return grouped("Sweep", std::move(table));
}

FlagTable scoring_flags(SweepFlags& flags, TrainConfig& config) {
  return grouped(
      "Scoring",
      advanced({{"trajectory_len", &flags.trajectory_lens,
                 "TDDS: T, the epochs used, from the first. Default: the paper's for CIFAR-100 at the "
                 "nearest rate, (T, J) = (90, 10) at 0.3, (70, 10) at 0.5, (60, 20) at 0.7, (20, 10) at 0.8, "
                 "(10, 5) at 0.9. In a shorter training T is all its epochs and J at most half of T."},
                {"window_size", &flags.window_sizes, "TDDS: J, the epochs in a window, 3 <= J <= T."},
                {"score_decay", &flags.score_decay,
                 "TDDS: weight of the newest window in the moving average, 0 to 1."},
                {"method_epochs", &flags.method_epochs,
                 "How many epochs the other methods use, from the first; 0 is each method's own choice."},
                {"method_window", &flags.method_window,
                 fmt::format("J of {}. 0 takes 10, or half of the epochs in a training of fewer than 20.",
                             names_of(has_windows))},
                {"ccs_beta", &flags.ccs_betas, "ccs: share of the samples dropped as the hardest."},
                {"ccs_strata", &flags.ccs_strata, "ccs: number of strata."},
                {"beta_c", &flags.beta_c, "beta: the exponent c. 4 for CIFAR-100, 5.5 for CIFAR-10."},
                {"dynamics_features", &config.dynamics_features,
                 fmt::format("Record features even if no method needs them yet. {} can then be added to the "
                             "sweep later.",
                             names_of(needs_features))}}));
}

}  // namespace

const char* to_string(Budget budget) {
  return budget == Budget::kEpochs ? "epochs" : "steps";
}

FlagTable sweep_flags(SweepFlags& flags, TrainConfig& config) {
  FlagTable all = sweep_only_flags(flags);
  append(all, scoring_flags(flags, config));
  for (Flag& flag : training_flags(config)) {
    if (flag.name == "evaluate" || flag.name == "resume" || flag.name == "stop_after_epoch" ||
        flag.name == "init_weights" || flag.name == "init_head")
      continue;
    if (flag.name == "manualSeed")
      flag.help = "Seed of the data, for what is drawn or held out. --seeds are those of the runs.";
    if (flag.name == "batch_size") {
      flag.variable = &flags.batch_size;
      flag.help = "Images in a step on all samples, and in tests. Default: 100.";
    }
    if (flag.name == "overwrite") flag.help = "Replace the sweep in --save_path.";
    if (flag.name == "save_path")
      flag.help =
          "Folder for the tables and all runs. A sweep that is there continues; flags that are not given "
          "keep its values.";
    all.push_back(std::move(flag));
  }
  return all;
}

void settle_batches(SweepFlags& flags, TrainConfig& config) {
  if (flags.subset_batches.empty()) flags.subset_batches = {flags.batch_size.value_or(kOfficialSubsetBatch)};
  flags.batch_size = config.train.batch = flags.batch_size.value_or(config.train.batch);
}

bool is_recorded(const std::string& flag) {
  constexpr std::array kOfOneProcess{"save_path", "shard", "merge", "config", "save_config"};
  return std::find(kOfOneProcess.begin(), kOfOneProcess.end(), flag) == kOfOneProcess.end();
}

bool changes_no_result(const std::string& flag) {
  static SweepFlags any;
  static TrainConfig config;
  static const FlagTable kFlags = sweep_flags(any, config);
  const Flag* known = find_flag(kFlags, flag);
  return known && known->scope != FlagScope::kResult;
}

}  // namespace tdds
