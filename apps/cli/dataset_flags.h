#pragma once
// The flags that say which data set it is, which every program that loads one has.

#include "apps/cli/flags.h"
#include "engine/data/dataset.h"

namespace tdds {

// All but the seed's.
FlagTable dataset_flags(DatasetOptions& options);

// Long work on a data set says on the console what it is about to do and how far it is, and ends where an
// InterruptRequest (apps/cli/interrupt.h) that lives is requested.
void show_loading(DatasetOptions& options);

}  // namespace tdds
