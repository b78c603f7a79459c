#pragma once
// The cost of a training, found without running it: its convolution plans, its memory, and a lower bound on
// the time of a step.

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "apps/train/planned_ranks.h"
#include "apps/train/train_options.h"
#include "kernels/planning/planning_device.h"

namespace tdds {

struct TrainingPlan {
  std::vector<ConvolutionPlan> convolutions;                // of the full batch
  std::vector<std::pair<std::string, std::size_t>> memory;  // what for, bytes
  std::size_t memory_bytes = 0;                             // their sum
  Work step;                                                // of the full batch
  PlannedExchange exchange = {};                            // of a step, with --ranks
  std::size_t buckets = 0;                                  // in which gradients are exchanged
  std::int32_t evaluation_batch = 0;
};

// `plans` makes the convolution plans; nothing is allocated or run on it.
TrainingPlan plan_training(const TrainConfig& config, Device& plans, const Dataset& data,
                           const SubsetChoice* subset);

// Why a training does not fit, in one sentence: what it needs, what there is, and the largest batch that
// fits.
std::string out_of_memory_sentence(const TrainConfig& config, Device& plans, const Dataset& data,
                                   const SubsetChoice* subset, const OutOfMemory& error);

// --dry_run: prints the plan for the device that the flags name. If the data is absent, its published size is
// used. `choose` may be empty, for the whole training set.
int print_training_plan(const TrainConfig& config, const std::function<SubsetChoice(const Dataset&)>& choose);

}  // namespace tdds
