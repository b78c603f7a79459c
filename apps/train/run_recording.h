#pragma once
// What a run records of each sample: the dynamics store, the official code's files, the scores of a running
// training, and the features of the trained network.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/train/online_scores.h"
#include "apps/train/run_log.h"
#include "apps/train/train_config.h"
#include "engine/data/dataset.h"
#include "engine/io/dynamics_store.h"
#include "engine/trainer.h"

namespace tdds {

class RunRecording {
 public:
  // Changes no file. Throws UsageError for scores that do not fit the run. config and data must outlive it.
  RunRecording(const TrainConfig& config, const Dataset& data, std::filesystem::path folder);

  // Begins the files, or continues those of the first `epochs` epochs, and says in the log what was repaired.
  void open(std::int32_t epochs, RunLog& log);

  // Takes the next epoch, which is then on the disk. Returns the rank correlation of each score with the
  // epoch before, by name.
  std::map<std::string, double> add(std::int32_t epoch, const EpochRecord& record);

  // Whether the scores have settled, where the run is to end then.
  bool settled() const { return scores_ && scores_->stable(); }

  // features: [N, width] of the trained network.
  void write_features(std::vector<float> features, std::int64_t width, std::int32_t epochs) const;

  // A paragraph for each score, or empty.
  std::string summary() const { return scores_ ? scores_->summary() : ""; }

 private:
  DynamicsHeader header() const;
  std::string store() const;
  void write_official_files(std::int32_t epoch, const EpochRecord& record) const;

  const TrainConfig& config_;
  const Dataset& data_;
  std::filesystem::path folder_;
  std::optional<DynamicsWriter> dynamics_;
  std::optional<OnlineScores> scores_;
};

}  // namespace tdds
