#pragma once
// One training run, from its configuration to result.json.
//
// <save_path>/ log.txt metrics.jsonl curve.svg result.json
//              model_best.safetensors model_last.safetensors checkpoint.safetensors
//              manifest.tsv of a data set of files (engine/data/manifest.h)
//              dynamics.tdds and npy/ if requested
//              train_ids.npy if ids differ from rows (apps/score/sample_ids.h)
//              wrong_label_ids.npy and planted.csv if something was planted (apps/train/ground_truth.h)

#include <cstdint>
#include <string>
#include <vector>

#include "apps/cli/cli.h"
#include "apps/cli/interrupt.h"
#include "apps/train/train_options.h"

namespace tdds {

struct RunRequest {
  const ProgramInfo& program;
  const FlagTexts& flags;     // for the head of log.txt
  const TrainConfig& config;  // data, network, device and batch of evaluation are the setup's
  const InterruptRequest& interrupt;
  const SubsetChoice* subset = nullptr;  // null: train on everything
  std::string label = {};                // stands before "epoch 3/8" in the progress
  std::vector<std::string> notes = {};   // sentences for the head of the log
  // The run writes only to its log.txt, not to the console, and draws its curve at the end, not after every
  // epoch.
  bool quiet = false;
};

struct RunResult {
  double best_accuracy, last_accuracy;  // of the test images, as shares
  std::int64_t steps;                   // of the optimizer
};

// Trains to the end. With config.resume it continues the run in the folder bit for bit, and a finished run
// only returns its result; otherwise the run in the folder is overwritten. Throws Interrupted after an
// interrupt was requested and everything is saved. The caller holds the folder's lock
// (apps/train/run_folder.h).
RunResult train(TrainingSetup& setup, const RunRequest& request);

// Tests the network with weights_to_evaluate() (apps/train/run_folder.h) and prints the result.
void evaluate(TrainingSetup& setup, const RunRequest& request);

}  // namespace tdds
