#pragma once
// What tdds-train and tdds-train-subset have in common.

#include <functional>

#include "apps/cli/cli.h"
#include "apps/train/train_options.h"

namespace tdds {

using ChooseSubset = std::function<SubsetChoice(const Dataset&)>;

// All that tdds-train and tdds-train-subset do once they have their flags.
// earlier: what a resumed run was begun with. choose: null trains on everything.
int run_training(const ProgramInfo& program, const TrainConfig& config, const FlagTexts& flags,
                 const EarlierFlags& earlier, const ChooseSubset& choose = {});

}  // namespace tdds
