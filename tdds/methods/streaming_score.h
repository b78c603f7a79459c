#pragma once
// Scores that are available after every epoch of a training run.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tdds/methods/method.h"

namespace tdds {

// One score in a run, and how much its order changed in the last epoch.
class StreamingScore {
 public:
  struct Plan {
    std::vector<DynamicsField> needs;
    std::int32_t least_epochs = 1;  // needed for a score
    std::int32_t last_epochs = 0;   // used at most; 0: all
  };
  StreamingScore(std::unique_ptr<Scorer> scorer, std::int64_t samples, Plan plan);

  // Adds the run's next epoch. Throws Error that names `source` if a needed field is missing or not finite.
  void add(const EpochView& epoch, const std::string& source);

  std::int32_t epochs() const { return epochs_; }  // added so far, at most last_epochs
  bool ready() const { return epochs_ >= plan_.least_epochs; }
  bool complete() const { return plan_.last_epochs > 0 && epochs_ == plan_.last_epochs; }
  // [N] by sample id. Throws Error before ready().
  std::vector<float> score() const { return scorer_->score(); }
  // Spearman's rank correlation with the score of the previous epoch; 1 once complete; nullopt before there
  // are two scores.
  std::optional<double> correlation() const { return correlation_; }

 private:
  std::unique_ptr<Scorer> scorer_;
  std::int64_t samples_;
  Plan plan_;
  std::int32_t epochs_ = 0;
  std::vector<double> ranks_;
  std::optional<double> correlation_;
};

// `method` with the given or its default number of epochs, in a run of `epochs` epochs.
StreamingScore streaming_score(const Method& method, std::int64_t samples, std::int32_t epochs,
                               const MethodOptions& options);

}  // namespace tdds
