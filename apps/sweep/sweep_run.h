#pragma once
// The paper's experiment: for every seed a training on all samples with its dynamics, the scores of every
// method from it, and a training on every subset; on one loaded data set and one set of plans.
//
// <save_path>/ sweep.json (apps/sweep/sweep_record.h) table.md table.csv
//              seed<s>/all/                 as tdds-train --dynamics leaves it
//              seed<s>/scores/              masks and scores, as tdds-score leaves them
//              seed<s>/<method>_<rate>/     as tdds-train-subset leaves it, with ids.txt and selection.json
//
// Once a run is recorded, its checkpoint is removed, and so are its weights unless they are to be kept.

#include "apps/cli/cli.h"
#include "apps/sweep/sweep_flags.h"

namespace tdds {

// Goes on where the sweep in the folder stopped. Its record is locked as long as it runs, and each run's
// folder while it works there. Throws as check_sweep, lock_or_refuse, plan_sweep, check_continues and
// train(). earlier: what the sweep in the folder was begun with.
int run_sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainConfig& config,
              const FlagTexts& texts, const EarlierFlags& earlier);

}  // namespace tdds
