#pragma once
// The paper's experiment: for every seed, a training on all samples with its dynamics, the scores of every
// method, and a training on every subset. All share one loaded data set and one set of plans.
//
// <save_path>/ sweep.json (apps/sweep/sweep_record.h) table.md table.csv
//              shard<i>.json                of shards, until they are joined (apps/sweep/shard_records.h)
//              plans                        on a GPU: cuDNN's convolution plans of all runs
//              seed<s>/all/                 as tdds-train --dynamics writes it
//              seed<s>/scores/              masks and scores, as tdds-score writes them
//              seed<s>/<method>_<rate>/     as tdds-train-subset writes it, with ids.txt and selection.json
//
// Once a run is recorded, its checkpoint is removed, and so are its weights unless they are to be kept.

#include "apps/cli/cli.h"
#include "apps/sweep/sweep_flags.h"

namespace tdds {

// Continues the sweep in the folder, if there is one. The record is locked while the sweep runs, and the
// folder of each run while it is in use. Throws like check_sweep, lock_or_refuse, plan_sweep, check_continues
// and train(). table: the flags. earlier: the recorded flags of the sweep in the folder.
//
// With --shard the process is one of several that share the sweep. Each takes runs that nobody has done or
// locks, and waits while there are none but will be. With --merge it only joins what they recorded.
int run_sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainConfig& config,
              const FlagTable& table, const EarlierFlags& earlier);

}  // namespace tdds
