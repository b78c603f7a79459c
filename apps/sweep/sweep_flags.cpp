#include "apps/sweep/sweep_flags.h"

#include <algorithm>

#include "kernels/runtime/check.h"
#include "tdds/methods/method.h"

namespace tdds {
namespace {

FlagTable selection_flags(SweepFlags& flags, TrainConfig& config) {
  return {{"trajectory_len", &flags.trajectory_lens,
           "TDDS: T, the epochs used, from the first. When not given, the paper's for CIFAR-100 at the "
           "nearest rate, (T, J) = (90, 10) at 0.3, (70, 10) at 0.5, (60, 20) at 0.7, (20, 10) at 0.8, "
           "(10, 5) at 0.9; in a shorter training T is all its epochs and J at most half of T."},
          {"window_size", &flags.window_sizes, "TDDS: J, the epochs in a window, 3 <= J <= T."},
          {"score_decay", &flags.score_decay,
           "TDDS: the weight of the newest window in the moving average, 0 to 1."},
          {"method_epochs", &flags.method_epochs,
           "The epochs that the other methods use, from the first; 0 takes each one's own choice."},
          {"method_window", &flags.method_window,
           fmt::format("J of {}; 0 takes 10, and in a training of fewer than 20 epochs half of them.",
                       names_of(has_windows))},
          {"ccs_beta", &flags.ccs_betas, "ccs: the share of the samples dropped as the hardest."},
          {"ccs_strata", &flags.ccs_strata, "ccs: the number of strata."},
          {"beta_c", &flags.beta_c, "beta: the exponent c (4 for CIFAR-100, 5.5 for CIFAR-10)."},
          {"dynamics_features", &config.dynamics_features,
           fmt::format("Record features also where no method needs them yet, so that {} can be added to the "
                       "sweep later.",
                       names_of(needs_features))}};
}

FlagTable runs_flags(SweepFlags& flags) {
  return {
      {"methods", &flags.methods,
       "The methods to compare, a list: each that tdds-score --list names, ccs (strata of aum without the "
       "hardest), dual_beta (dual, drawn with Beta weights), or a method with another selection than the "
       "highest scores: tdds+balanced, el2n+ccs, aum+bottom, ... 'every' stands for all of the former. The "
       "training "
       "on all samples, 'all', is always part of a sweep."},
      {"rates", &flags.rates,
       "Pruning rates: the shares of the samples that are left OUT. The flags that may differ from rate to "
       "rate, --trajectory_len, --window_size, --subset_batch_size and --ccs_beta, take one value for all or "
       "one for each of these."},
      {"seeds", &flags.seeds, "Seeds of the runs: each trains, scores, selects and trains again by itself."},
      {"budget", choice(flags.budget, kBudgets),
       "Length of the trainings on subsets: epochs (as many as on all samples, so fewer steps: the "
       "paper's) or steps (as many steps, to the nearest whole epoch)."},
      {"subset_batch_size", &flags.subset_batches,
       "Images a step on subsets. When not given, --batch_size; where neither is given, 128, as in the "
       "official "
       "code. Smaller ones help at high rates: 64 at 0.8, 32 at 0.9."},
      {"no_score_weighting", &flags.no_score_weighting,
       "TDDS: do not multiply a batch's loss with the mean of its samples' scores, scaled to 0..1, as the "
       "official code does. It acts as a lower learning rate."},
      {"keep_models", &flags.keep_models, "Keep the weights of every run, the best and the last.",
       FlagScope::kPlace}};
}

}  // namespace

const char* to_string(Budget budget) {
  return budget == Budget::kEpochs ? "epochs" : "steps";
}

FlagTable sweep_flags(SweepFlags& flags, TrainConfig& config) {
  FlagTable all = grouped("Sweep", runs_flags(flags));
  append(all, grouped("Scores", selection_flags(flags, config)));
  for (Flag& flag : training_flags(config)) {
    if (flag.name == "evaluate" || flag.name == "resume" || flag.name == "stop_after_epoch" ||
        flag.name == "init_weights" || flag.name == "init_head")
      continue;
    if (flag.name == "manualSeed")
      flag.help = "Seed of the data: what is drawn and what is held out. --seeds are those of the runs.";
    if (flag.name == "batch_size")
      flag = {flag.name, &flags.batch_size,
              "Images a step of the trainings on all samples, and in tests. When not given, 100."};
    if (flag.name == "overwrite") flag.help = "Start anew where --save_path already holds a sweep.";
    if (flag.name == "save_path")
      flag.help =
          "Folder for the tables and all runs. A sweep that is there already goes on; flags that are not "
          "given are as it was begun.";
    all.push_back(std::move(flag));
  }
  return all;
}

void settle_batches(SweepFlags& flags, TrainConfig& config) {
  if (flags.subset_batches.empty()) flags.subset_batches = {flags.batch_size.value_or(kOfficialSubsetBatch)};
  flags.batch_size = config.train.batch = flags.batch_size.value_or(config.train.batch);
}

bool changes_no_result(const std::string& flag) {
  static SweepFlags any;
  static TrainConfig config;
  static const FlagTable kFlags = sweep_flags(any, config);
  const Flag* known = find_flag(kFlags, flag);
  return known && known->scope != FlagScope::kResult;
}

}  // namespace tdds
