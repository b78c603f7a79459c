#pragma once
// Which training a checkpoint belongs to: what decides its bits, so that it is only resumed with the same.

#include "apps/run_history.h"
#include "apps/train_options.h"

namespace tdds {

// subset: null for the whole training set.
RunIdentity run_identity(const TrainingFlags& flags, const TrainingSetup& setup, const Trainer& trainer,
                         const SubsetChoice* subset);

}  // namespace tdds
