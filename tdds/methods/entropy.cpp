#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

std::vector<float> compute(const DynamicsReader& dynamics, std::int32_t epochs, const MethodOptions&) {
  const float* last = dynamics.entropy(epochs - 1);
  return {last, last + dynamics.samples()};
}

}  // namespace

const Method kEntropy{
    .name = "entropy",
    .score = "-sum_c p_c log p_c in the last epoch used, of the training pass",
    .kept = "highest",
    .source =
        "Coleman et al. 2020; from the training pass as in DUAL's code (CCS evaluates the final "
        "net without augmentation)",
    .epochs = 0,
    .least_epochs = 1,
    .needs = {DynamicsField::kEntropy},
    .compute = compute};

}  // namespace tdds::methods
