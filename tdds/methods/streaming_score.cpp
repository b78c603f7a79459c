#include "tdds/streaming_score.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/window_sweep.h"
#include "tdds/rank_correlation.h"

namespace tdds {
namespace {

class StreamingTdds : public Scorer {
 public:
  StreamingTdds(std::int64_t samples, int window_size, double decay, DynamicsField series)
      : decay_(decay), series_(series), s_(static_cast<std::size_t>(samples)) {
    check(window_size >= 3, "a window of {} epochs; TDDS needs 3 at least", window_size);
    ring_.resize(static_cast<std::size_t>(window_size - 1), std::vector<float>(s_.size()));
  }

  // The first epoch has no visit before it, and so no value in the series.
  void add(const EpochView& epoch) override {
    if (epochs_++ == 0) return;
    const auto row = static_cast<std::size_t>(epochs_ - 2);  // of the series
    std::copy_n(epoch.values(series_), s_.size(), ring_[row % ring_.size()].begin());
    if (row + 1 < ring_.size()) return;
    std::vector<const float*> window;  // oldest first
    for (std::size_t j = 1; j <= ring_.size(); ++j) window.push_back(ring_[(row + j) % ring_.size()].data());
    cpu::window_step(window, static_cast<std::int64_t>(s_.size()), decay_, s_.data());
  }

  std::vector<float> score() const override {
    check(static_cast<std::size_t>(epochs_) > ring_.size(), "TDDS has no score before epoch {}",
          ring_.size() + 1);
    return {s_.begin(), s_.end()};
  }

 private:
  double decay_;
  DynamicsField series_;
  std::int32_t epochs_ = 0;
  std::vector<std::vector<float>> ring_;
  std::vector<double> s_;
};

}  // namespace

std::unique_ptr<Scorer> streaming_tdds(std::int64_t samples, int window_size, double decay,
                                       DynamicsField series) {
  return std::make_unique<StreamingTdds>(samples, window_size, decay, series);
}

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
  check_usage(least <= std::min(last, epochs), "{} needs {} epochs and gets {}; train longer", method.name,
              least, std::min(last, epochs));
  return {method.make(samples, options),
          samples,
          {.needs = method.needs, .least_epochs = least, .last_epochs = std::min(last, epochs)}};
}

}  // namespace tdds
