#pragma once
// The mean over the epochs of a term computed from each epoch's dynamics.

#include <memory>
#include <utility>
#include <vector>

#include "tdds/methods/scorer.h"

namespace tdds::methods {

// term(view, i) is the term of sample i in an epoch. Terms are summed in double, in the order of the epochs.
template <class Term>
class EpochMean : public Scorer {
 public:
  EpochMean(std::int64_t samples, Term term)
      : sum_(static_cast<std::size_t>(samples)), term_(std::move(term)) {}

  void add(const EpochView& epoch) override {
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += term_(epoch, i);
    ++epochs_;
  }
  std::vector<float> score() const override {
    std::vector<float> score;
    score.reserve(sum_.size());
    for (const double sum : sum_) score.push_back(static_cast<float>(sum / epochs_));
    return score;
  }

 private:
  std::vector<double> sum_;
  std::int32_t epochs_ = 0;
  Term term_;
};

template <class Term>
std::unique_ptr<Scorer> mean_over_epochs(std::int64_t samples, Term term) {
  return std::make_unique<EpochMean<Term>>(samples, std::move(term));
}

}  // namespace tdds::methods
