#include <cmath>

#include "tdds/methods/mean.h"
#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

std::unique_ptr<Scorer> of_probabilities(std::int64_t samples, const MethodOptions&) {
  return mean_over_epochs(samples, [](const EpochView& epoch, std::size_t i) {
    return std::exp(static_cast<double>(epoch.log_other()[i])) -
           std::exp(-static_cast<double>(epoch.loss()[i]));
  });
}

// z_y - max other z: the normaliser cancels.
std::unique_ptr<Scorer> of_logits(std::int64_t samples, const MethodOptions&) {
  return mean_over_epochs(samples, [](const EpochView& epoch, std::size_t i) {
    return static_cast<double>(epoch.loss()[i]) + static_cast<double>(epoch.log_other()[i]);
  });
}

}  // namespace

const Method kAum{.name = "aum",
                  .score = "-(p_y - largest other p), mean over the epochs: minus the area under the margin",
                  .kept = "lowest margin",
                  .source = "Pleiss et al. 2020; on probabilities and kept at the low end as in CCS",
                  .needs = {DynamicsField::kLoss, DynamicsField::kLogOther},
                  .can_be_negative = true,
                  .make = of_probabilities};

const Method kAumLogit{
    .name = "aum_logit",
    .score = "-(z_y - largest other z), mean over the epochs: minus the area under the logit margin",
    .kept = "lowest margin",
    .source = "Pleiss et al. 2020, as their code",
    .needs = {DynamicsField::kLoss, DynamicsField::kLogOther},
    .variant_of = "aum",
    .can_be_negative = true,
    .make = of_logits};

}  // namespace tdds::methods
