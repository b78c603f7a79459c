#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

class Forgetting : public Scorer {
 public:
  Forgetting(std::int64_t samples, bool never_is_most)
      : count_(static_cast<std::size_t>(samples)),
        before_(count_.size()),
        learned_(count_.size()),
        never_is_most_(never_is_most) {}

  void add(const EpochView& epoch) override {
    for (std::size_t i = 0; i < count_.size(); ++i) {
      const bool now = epoch.correct[i] != 0;
      count_[i] += before_[i] && !now ? 1.0f : 0.0f;
      before_[i] = now;
      if (now) learned_[i] = true;
    }
    ++epochs_;
  }

  std::vector<float> score() const override {
    // More than any count: a sample can be forgotten at most every other epoch.
    const float never = never_is_most_ ? static_cast<float>(epochs_) : 0.0f;
    std::vector<float> score = count_;
    for (std::size_t i = 0; i < score.size(); ++i)
      if (!learned_[i]) score[i] = never;
    return score;
  }

 private:
  std::vector<float> count_;
  std::vector<bool> before_, learned_;
  std::int32_t epochs_ = 0;
  bool never_is_most_;
};

std::unique_ptr<Scorer> never_is_most(std::int64_t samples, const MethodOptions&) {
  return std::make_unique<Forgetting>(samples, true);
}
std::unique_ptr<Scorer> never_is_zero(std::int64_t samples, const MethodOptions&) {
  return std::make_unique<Forgetting>(samples, false);
}

}  // namespace

const Method kForgetting{
    .name = "forgetting",
    .score =
        "how often a correct prediction became wrong in the next epoch; a sample that was "
        "never correct counts as the number of epochs, the most",
    .kept = "highest",
    .source = "Toneva et al. 2019, and their code's rule for the never learned",
    .least_epochs = 2,
    .needs = {DynamicsField::kCorrect},
    .make = never_is_most};

const Method kForgettingZero{
    .name = "forgetting_zero",
    .score = "the same count; a sample that was never correct counts as 0, the easiest",
    .kept = "highest",
    .source = "Toneva et al. 2019, as CCS, DUAL and DeepCore implement it",
    .least_epochs = 2,
    .needs = {DynamicsField::kCorrect},
    .variant_of = "forgetting",
    .make = never_is_zero};

}  // namespace tdds::methods
