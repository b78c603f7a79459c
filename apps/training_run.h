#pragma once
// One training run from flags to result.json: what tdds-train and tdds-train-subset do once they have their
// flags.
//
// <save_path>/ log.txt metrics.jsonl curve.png result.json
//              model_best.safetensors model_last.safetensors checkpoint.safetensors
//              dynamics.tdds and npy/ where asked; wrong_label_ids.npy of a drawn data set

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/cli.h"
#include "apps/training_flags.h"
#include "engine/dataset.h"

namespace tdds {

// Which rows to train on, and how.
struct SubsetChoice {
  std::vector<std::int32_t> ids;   // rows of the training set
  std::vector<float> weights;      // [N], or empty: the loss is not weighted
  double t_max = 0;                // steps of the cosine schedule
  std::vector<std::string> notes;  // sentences for the log
};
using ChooseSubset = std::function<SubsetChoice(const Dataset&)>;

// choose: null trains on everything.
int run_training(const ProgramInfo& program, const TrainingFlags& flags, const ResolvedOptions& resolved,
                 const ChooseSubset& choose = {});

}  // namespace tdds
