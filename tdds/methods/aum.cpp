#include <cmath>

#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

template <class Margin>
std::vector<float> negated_mean(const DynamicsReader& dynamics, std::int32_t epochs, const Margin& margin) {
  std::vector<double> sum(static_cast<std::size_t>(dynamics.samples()));
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const float *loss = dynamics.loss(epoch), *log_other = dynamics.log_other(epoch);
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] -= margin(static_cast<double>(loss[i]), static_cast<double>(log_other[i]));
  }
  for (double& value : sum) value /= epochs;
  return {sum.begin(), sum.end()};
}

std::vector<float> of_probabilities(const DynamicsReader& dynamics, std::int32_t epochs,
                                    const MethodOptions&) {
  return negated_mean(dynamics, epochs,
                      [](double loss, double log_other) { return std::exp(-loss) - std::exp(log_other); });
}

// z_y - max other z: the normaliser cancels.
std::vector<float> of_logits(const DynamicsReader& dynamics, std::int32_t epochs, const MethodOptions&) {
  return negated_mean(dynamics, epochs, [](double loss, double log_other) { return -loss - log_other; });
}

}  // namespace

const Method kAum{.name = "aum",
                  .score = "-(p_y - largest other p), mean over the epochs: minus the area under the margin",
                  .kept = "lowest margin",
                  .source = "Pleiss et al. 2020; on probabilities and kept at the low end as in CCS",
                  .epochs = 0,
                  .least_epochs = 1,
                  .needs = {DynamicsField::kLoss, DynamicsField::kLogOther},
                  .compute = of_probabilities};

const Method kAumLogit{
    .name = "aum_logit",
    .score = "-(z_y - largest other z), mean over the epochs: minus the area under the logit margin",
    .kept = "lowest margin",
    .source = "Pleiss et al. 2020, as their code",
    .epochs = 0,
    .least_epochs = 1,
    .needs = {DynamicsField::kLoss, DynamicsField::kLogOther},
    .compute = of_logits};

}  // namespace tdds::methods
