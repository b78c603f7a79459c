#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

std::vector<float> count_forgetting(const DynamicsReader& dynamics, std::int32_t epochs,
                                    float never_learned) {
  std::vector<float> score(static_cast<std::size_t>(dynamics.samples()));
  std::vector<bool> learned(score.size());
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const std::uint8_t* now = dynamics.correct(epoch);
    const std::uint8_t* before = epoch > 0 ? dynamics.correct(epoch - 1) : now;
    for (std::size_t i = 0; i < score.size(); ++i) {
      score[i] += before[i] && !now[i] ? 1.0f : 0.0f;
      if (now[i]) learned[i] = true;
    }
  }
  for (std::size_t i = 0; i < score.size(); ++i)
    if (!learned[i]) score[i] = never_learned;
  return score;
}

// More than any count: a sample can be forgotten at most every other epoch.
std::vector<float> never_is_most(const DynamicsReader& dynamics, std::int32_t epochs, const MethodOptions&) {
  return count_forgetting(dynamics, epochs, static_cast<float>(epochs));
}

std::vector<float> never_is_zero(const DynamicsReader& dynamics, std::int32_t epochs, const MethodOptions&) {
  return count_forgetting(dynamics, epochs, 0);
}

}  // namespace

const Method kForgetting{
    .name = "forgetting",
    .score =
        "how often a correct prediction became wrong in the next epoch; a sample that was "
        "never correct counts as the number of epochs, the most",
    .kept = "highest",
    .source = "Toneva et al. 2019, and their code's rule for the never learned",
    .epochs = 0,
    .least_epochs = 2,
    .needs = {DynamicsField::kCorrect},
    .compute = never_is_most};

const Method kForgettingZero{
    .name = "forgetting_zero",
    .score = "the same count; a sample that was never correct counts as 0, the easiest",
    .kept = "highest",
    .source = "Toneva et al. 2019, as CCS, DUAL and DeepCore implement it",
    .epochs = 0,
    .least_epochs = 2,
    .needs = {DynamicsField::kCorrect},
    .compute = never_is_zero};

}  // namespace tdds::methods
