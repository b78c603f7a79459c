#pragma once
// Records the dynamics of a training loop outside of this project, batch by batch, in the store that
// tdds-train writes (engine/io/dynamics_store.h), with the same op (kernels/ops/softmax_kl.h).
//
// Without labels, only the fields that need none are recorded: kl, true_kl and entropy. A sample that an
// epoch does not visit keeps its last values, with kl and true_kl 0, and its next visit is compared with the
// last one. Before its first visit a sample counts as predicted uniformly and wrongly, and at it, kl and
// true_kl are 0. Of two visits in one epoch, the first counts.
//
// Beside the store, `<path>.resume.safetensors` has the number of epochs and the log-probabilities of each
// sample's last visit, "prev_logp" float32 [N,K], NaN for a sample that was never visited. It is replaced
// after the epoch is in the store, so a recording that was killed continues from it with equal bits. It is
// optional: without it, the recording cannot be continued.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/io/dynamics_store.h"
#include "engine/io/file_lock.h"
#include "kernels/runtime/device.h"
#include "kernels/runtime/stream.h"

namespace tdds::python {

// One label per sample or row, or none.
using Labels = std::optional<std::vector<std::int64_t>>;

class Recording {
 public:
  // Starts the recording at `path`, or continues it. Creates the folder, but no store before the first
  // end_epoch. labels [N]. Throws UsageError for numbers and labels out of range, and Error if another
  // Recording has the path, or what is there is of another recording or cannot be continued. `resumable`:
  // saves the file beside the store.
  Recording(std::filesystem::path path, std::int64_t samples, std::int32_t classes, const Labels& labels,
            std::string fingerprint, bool resumable);

  // Adds a batch: ids [B], logits [B,K], labels [B]. `epoch`: the caller's, if it is to be compared. Throws
  // UsageError, and takes no row of the batch, for an id or label out of range, a logit that is not finite,
  // a label that is missing or changes, and another epoch than epoch().
  void update(std::span<const std::int64_t> ids, std::span<const float> logits, const Labels& labels,
              std::optional<std::int64_t> epoch);
  // Writes the epoch, which is on the disk when this returns, and returns how many samples it did not visit.
  // Throws UsageError if it visited none, and Error if a label is unknown or a file cannot be written; it may
  // then be called again.
  std::int64_t end_epoch(std::optional<std::int64_t> epoch);

  std::int32_t epoch() const { return epoch_; }     // the current one, from 0
  std::int64_t visited() const { return visits_; }  // samples that it has visited so far
  std::int32_t classes() const { return classes_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  enum class LabelRule { kUndecided, kNone, kAllKnown, kWithUpdates };

  std::filesystem::path resume_path() const;
  DynamicsHeader header() const;
  void start_over();
  void continue_after(std::int32_t epochs);
  void save(std::int32_t epochs) const;
  void check_epoch(std::optional<std::int64_t> epoch) const;
  // The rule after a batch with these labels. Throws UsageError if the current rule does not accept them.
  LabelRule checked_labels(std::span<const std::int64_t> ids, const Labels& labels) const;
  void visit(std::span<const std::int32_t> ids, const float* logits);

  std::filesystem::path path_;
  std::int64_t samples_;
  std::int32_t classes_;
  std::string fingerprint_;
  bool resumable_;
  std::optional<FileLock> lock_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::optional<DynamicsWriter> writer_;  // none before the first end_epoch

  LabelRule rule_ = LabelRule::kUndecided;
  std::vector<std::int32_t> labels_;  // [N]; -1: unknown
  std::vector<float> prev_logp_;      // [N,K]
  EpochDynamics values_;
  std::vector<bool> visited_;  // in this epoch
  std::int64_t visits_ = 0;
  std::int32_t epoch_ = 0;
};

}  // namespace tdds::python
