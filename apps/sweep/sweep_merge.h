#pragma once

#include "apps/cli/cli.h"
#include "apps/sweep/sweep_flags.h"

namespace tdds {

// The work of tdds-sweep --merge: joins the records of the shards in --save_path to sweep.json and the
// tables, as a sweep of one process writes them, and removes them. Throws Error, naming what is missing,
// unless all runs are recorded, and if a shard still works or the records do not belong together.
int merge_sweep(const SweepFlags& flags, const TrainConfig& config, const FlagTexts& texts,
                const EarlierFlags& earlier);

}  // namespace tdds
