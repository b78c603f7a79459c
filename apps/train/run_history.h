#pragma once
// The metrics of the epochs of a run: kept in the checkpoint, printed, drawn, and summarised at the end.

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"

namespace tdds {

struct EpochMetrics {
  std::int32_t epoch = 0;
  double train_loss = 0, train_accuracy = 0;  // of the training passes, while the weights change
  double test_loss = 0, test_accuracy = 0, test_top5 = 0;
  std::optional<double> val_loss = {}, val_accuracy = {};  // of the held-out training images
  double images_per_second = 0;                            // while training
  double seconds = 0;                                      // the epoch with its evaluation
  std::int64_t skipped_steps = 0;
  // By the name of a score: the rank correlation of the samples' order with that of the epoch before.
  std::map<std::string, double> score_correlation = {};

  // The accuracy by which the best epoch is chosen.
  double chosen_by() const { return val_accuracy.value_or(test_accuracy); }
};

// The options that must be equal for a run to be resumed, with their values.
using RunFingerprint = std::map<std::string, std::string>;

// Reads it from a checkpoint's metadata. Throws Error, naming `path`, if it is missing.
RunFingerprint recorded_fingerprint(const Metadata& metadata, const std::string& path);

class RunHistory {
 public:
  // Reads it from a checkpoint's metadata. Throws Error, naming `path`, if it is missing.
  static RunHistory from_metadata(const Metadata& metadata, const std::string& path);
  Metadata to_metadata(const RunFingerprint& fingerprint) const;

  // Returns whether this epoch is the best so far.
  bool add(const EpochMetrics& metrics);

  nlohmann::ordered_json json_line(const EpochMetrics& metrics) const;
  std::string text_line(const EpochMetrics& metrics, std::int32_t epochs) const;
  nlohmann::ordered_json result_json(const RunFingerprint& fingerprint) const;
  std::string summary() const;
  void draw(const std::filesystem::path& png, const std::string& title) const;

  // The history must not be empty.
  const EpochMetrics& best() const { return epochs_.at(best_); }
  const EpochMetrics& last() const { return epochs_.back(); }

 private:
  std::vector<EpochMetrics> epochs_;
  std::size_t best_ = 0;
};

}  // namespace tdds
