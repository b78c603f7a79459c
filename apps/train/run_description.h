#pragma once
// The first lines of a run's log: data, network, memory, steps.

#include <string>
#include <vector>

#include "apps/train/run_log.h"
#include "apps/train/training_run.h"
#include "engine/trainer.h"

namespace tdds {

// trainer: null in an evaluation. resume_notes: about what the checkpoint does not record.
void describe_run(RunLog& log, const RunRequest& request, TrainingSetup& setup, const Trainer* trainer,
                  const std::vector<std::string>& resume_notes);

}  // namespace tdds
