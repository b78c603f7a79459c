#pragma once
// From flags to the trainer's options.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/train/training_setup.h"
#include "engine/trainer.h"

namespace tdds {

// Which rows to train on, and how.
struct SubsetChoice {
  std::vector<std::int32_t> ids;   // rows of the training set
  std::vector<float> weights;      // [N], or empty: the loss is not weighted
  double t_max = 0;                // steps of the cosine schedule
  std::vector<std::string> notes;  // sentences for the log
};

// subset: null for the whole training set.
TrainOptions train_options(const TrainConfig& config, const TrainingSetup& setup, const SubsetChoice* subset);

// "warning: ..." if a training of this number of steps says little about its data; otherwise empty.
std::string few_steps_warning(std::int64_t steps);

}  // namespace tdds
