#pragma once
// One training run, from its flags to result.json.
//
// <save_path>/ log.txt metrics.jsonl curve.png result.json
//              model_best.safetensors model_last.safetensors checkpoint.safetensors
//              manifest.tsv of a data set of files (engine/manifest.h)
//              dynamics.tdds and npy/ where asked
//              train_ids.npy where ids differ from rows (apps/sample_ids.h)
//              wrong_label_ids.npy and planted.csv where something was planted (apps/planted_truth.h)

#include <cstdint>
#include <functional>
#include <string>

#include "apps/cli.h"
#include "apps/interrupt.h"
#include "apps/train_options.h"

namespace tdds {

struct RunRequest {
  const ProgramInfo& program;
  const ResolvedOptions& resolved;  // for the head of log.txt
  const TrainingFlags& flags;       // data, network, device and batch of evaluation are the setup's
  const InterruptRequest& interrupt;
  const SubsetChoice* subset = nullptr;  // null: train on everything
  std::string label = {};                // stands before "epoch 3/8" in the progress
  // What the run says goes to its log.txt alone, and its curve is drawn at the end, not after every epoch.
  bool quiet = false;
};

struct RunResult {
  double best_accuracy, last_accuracy;  // of the test images, as shares
  std::int64_t steps;                   // of the optimizer
};

// Trains to the end. With flags.resume it goes on bit for bit where the run in the folder stopped, and a run
// that had ended only returns its result; otherwise what the folder holds is overwritten. Throws Interrupted
// once the interrupt was requested and everything is saved.
RunResult train(TrainingSetup& setup, const RunRequest& request);

using ChooseSubset = std::function<SubsetChoice(const Dataset&)>;

// All that tdds-train and tdds-train-subset do once they have their flags.
// choose: null trains on everything.
int run_training(const ProgramInfo& program, const TrainingFlags& flags, const ResolvedOptions& resolved,
                 const ChooseSubset& choose = {});

}  // namespace tdds
