#include "apps/sweep_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <string_view>

#include "apps/cli.h"

namespace tdds {
namespace {

void declare_selection_flags(CLI::App& app, SweepFlags& flags) {
  app.add_option("--trajectory_len", flags.trajectory_lens,
                 "TDDS: T, the epochs used, from the first. When not given, the paper's for CIFAR-100 at the "
                 "nearest rate, (T, J) = (90, 10) at 0.3, (70, 10) at 0.5, (60, 20) at 0.7, (20, 10) at 0.8, "
                 "(10, 5) at 0.9; in a shorter training T is all its epochs and J at most half of T.")
      ->delimiter(',')
      ->group("Scores");
  app.add_option("--window_size", flags.window_sizes, "TDDS: J, the epochs in a window, 3 <= J <= T.")
      ->delimiter(',')
      ->group("Scores");
  app.add_option("--score_decay", flags.score_decay,
                 "TDDS: the weight of the newest window in the moving average, 0 to 1.")
      ->group("Scores");
  app.add_option("--method_epochs", flags.method_epochs,
                 "The epochs that the other methods use, from the first; 0 takes each one's own choice.")
      ->group("Scores");
  app.add_option("--method_window", flags.method_window,
                 "J of dyn_unc and dual; 0 takes 10, and in a training of fewer than 20 epochs half of them.")
      ->group("Scores");
  app.add_option("--ccs_beta", flags.ccs_betas, "ccs: the share of the samples dropped as the hardest.")
      ->delimiter(',')
      ->group("Scores");
  app.add_option("--ccs_strata", flags.ccs_strata, "ccs: the number of strata.")->group("Scores");
  app.add_option("--beta_c", flags.beta_c, "beta: the exponent c (4 for CIFAR-100, 5.5 for CIFAR-10).")
      ->group("Scores");
}

void declare_training_on_subsets(CLI::App& app, SweepFlags& flags) {
  app.add_option("--budget", flags.budget,
                 "Length of the trainings on subsets: epochs (as many as on all samples, so fewer steps: the "
                 "paper's) or steps (as many steps, to the nearest whole epoch).")
      ->group("Sweep");
  app.add_option("--subset_batch_size", flags.subset_batches,
                 "Images a step on subsets. Smaller ones help at high rates: 64 at 0.8, 32 at 0.9.")
      ->delimiter(',')
      ->group("Sweep");
  app.add_flag("--no_score_weighting", flags.no_score_weighting,
               "TDDS: do not multiply a batch's loss with the mean of its samples' scores, scaled to 0..1, "
               "as the official code does. It acts as a lower learning rate.")
      ->group("Sweep");
  app.add_flag("--keep_models", flags.keep_models, "Keep the weights of every run, the best and the last.")
      ->group("Sweep");
}

void remove(CLI::App& app, const std::string& flag) {
  app.remove_option(app.get_option(flag));
}

}  // namespace

void declare_sweep_flags(CLI::App& app, SweepFlags& flags, TrainingFlags& training) {
  app.add_option(
         "--methods", flags.methods,
         "The methods to compare, a list: each that tdds-score --list names, ccs (strata of aum without the "
         "hardest), dual_beta (dual, drawn with Beta weights), or a method with another selection than the "
         "highest scores: tdds+balanced, el2n+ccs, aum+bottom, ... 'every' stands for all of the former. The "
         "training "
         "on all samples, 'all', is always part of a sweep.")
      ->delimiter(',')
      ->group("Sweep");
  app.add_option("--rates", flags.rates,
                 "Pruning rates: the shares of the samples that are left OUT. The flags that may differ from "
                 "rate to rate, --trajectory_len, --window_size, --subset_batch_size and --ccs_beta, take "
                 "one value for all or one for each of these.")
      ->delimiter(',')
      ->group("Sweep");
  app.add_option("--seeds", flags.seeds,
                 "Seeds of the runs: each trains, scores, selects and trains again by itself.")
      ->delimiter(',')
      ->check(no_negative_seed)
      ->group("Sweep");
  declare_training_on_subsets(app, flags);
  declare_selection_flags(app, flags);
  app.add_flag("--dynamics_features", training.dynamics_features,
               "Record features also where no method needs them yet, so that grand and moderate can be added "
               "to the sweep later.")
      ->group("Scores");
  declare_training_flags(app, training);
  for (const char* flag : {"--evaluate", "--resume", "--stop_after_epoch", "--init_weights"})
    remove(app, flag);
  app.get_option("--manualSeed")
      ->description("Seed of the data: what is drawn and what is held out. --seeds are those of the runs.");
  app.get_option("--batch_size")->description("Images a step of the trainings on all samples, and in tests.");
  app.get_option("--overwrite")->description("Start anew where --save_path already holds a sweep.");
  app.get_option("--save_path")
      ->description("Folder for the tables and all runs. A sweep that is there already goes on.");
}

bool changes_no_result(const std::string& flag) {
  static constexpr std::array<std::string_view, 15> kHarmless{
      "save_path",    "data_path",    "cache_dir",   "data_memory", "download",
      "download_url", "download_md5", "workers",     "threads",     "checkpoint_minutes",
      "overwrite",    "print_freq",   "keep_models", "debug_sync",  "plan_cache"};
  return std::find(kHarmless.begin(), kHarmless.end(), flag) != kHarmless.end();
}

}  // namespace tdds
