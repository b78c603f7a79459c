#pragma once
// What tdds-train and tdds-train-subset have in common.

#include <functional>

#include "apps/cli/cli.h"
#include "apps/train/train_options.h"

namespace tdds {

using ChooseSubset = std::function<SubsetChoice(const Dataset&)>;

// Does the work of tdds-train and tdds-train-subset after their flags are parsed. table: the flags. earlier:
// the recorded flags of a resumed run. choose: null trains on all samples.
int run_training(const ProgramInfo& program, const TrainConfig& config, const FlagTable& table,
                 const EarlierFlags& earlier, const ChooseSubset& choose = {});

}  // namespace tdds
