#include "tdds/methods/streaming_score.h"

#include <algorithm>

#include "kernels/runtime/check.h"
#include "tdds/statistics/rank_correlation.h"

namespace tdds {

StreamingScore::StreamingScore(std::unique_ptr<Scorer> scorer, std::int64_t samples, Plan plan)
    : scorer_(std::move(scorer)), samples_(samples), plan_(std::move(plan)) {}

void StreamingScore::add(const EpochView& epoch, const std::string& source) {
  if (complete()) {
    correlation_ = 1;
    return;
  }
  check_epoch(epoch, plan_.needs, samples_, epochs_, source);
  scorer_->add(epoch);
  ++epochs_;
  if (!ready()) return;
  std::vector<double> ranks = average_ranks(scorer_->score());
  if (!ranks_.empty()) correlation_ = correlation_of_ranks(ranks_, ranks);
  ranks_ = std::move(ranks);
}

StreamingScore streaming_score(const Method& method, std::int64_t samples, std::int32_t epochs,
                               const MethodOptions& options) {
  const std::int32_t last = options.epochs > 0 ? options.epochs : method.epochs > 0 ? method.epochs : epochs;
  const std::int32_t least = least_epochs(method, options);
  check_usage(last <= epochs || options.epochs == 0,
              "{} was asked to use {} epochs of a run of {}; train longer or ask for less", method.name, last,
              epochs);
  check_usage(least <= std::min(last, epochs), "{} needs {} epochs, but gets {}; train longer", method.name,
              least, std::min(last, epochs));
  return {method.make(samples, options),
          samples,
          {.needs = method.needs, .least_epochs = least, .last_epochs = std::min(last, epochs)}};
}

}  // namespace tdds
