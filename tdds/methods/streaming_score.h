#pragma once
// Scores that stand ready after every epoch of a training run.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tdds/methods/method.h"

namespace tdds {

// One score in a run, with how far its order moved in the last epoch.
class StreamingScore {
 public:
  struct Plan {
    std::vector<DynamicsField> needs;
    std::int32_t least_epochs = 1;  // before there is a score
    std::int32_t last_epochs = 0;   // that it takes in; 0: all there will be
  };
  StreamingScore(std::unique_ptr<Scorer> scorer, std::int64_t samples, Plan plan);

  // Takes the run's next epoch. Throws Error, naming `source`, where what it needs is missing or not finite.
  void add(const EpochView& epoch, const std::string& source);

  std::int32_t epochs() const { return epochs_; }  // taken in: no more than last_epochs
  bool ready() const { return epochs_ >= plan_.least_epochs; }
  bool complete() const { return plan_.last_epochs > 0 && epochs_ == plan_.last_epochs; }
  // [N] by sample id. Throws Error before ready().
  std::vector<float> score() const { return scorer_->score(); }
  // Spearman's rank correlation to the score of one epoch before; 1 once complete; none while there are no
  // two.
  std::optional<double> correlation() const { return correlation_; }

 private:
  std::unique_ptr<Scorer> scorer_;
  std::int64_t samples_;
  Plan plan_;
  std::int32_t epochs_ = 0;
  std::vector<double> ranks_;
  std::optional<double> correlation_;
};

// `method` with its own horizon or the one asked for, in a run of `epochs` epochs.
StreamingScore streaming_score(const Method& method, std::int64_t samples, std::int32_t epochs,
                               const MethodOptions& options);

}  // namespace tdds
