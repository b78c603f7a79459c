#pragma once
// The flags that choose a data set, shared by every program that loads one.

#include "apps/cli/flags.h"
#include "engine/data/dataset.h"

namespace tdds {

// All of them except the seed.
FlagTable dataset_flags(DatasetOptions& options);

// Makes loading print what it is about to do and its progress, and stop once an active InterruptRequest
// (apps/cli/interrupt.h) is requested.
void show_loading(DatasetOptions& options);

}  // namespace tdds
