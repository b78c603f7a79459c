#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

std::vector<float> compute(const DynamicsReader& dynamics, std::int32_t epochs, const MethodOptions&) {
  std::vector<double> sum(static_cast<std::size_t>(dynamics.samples()));
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += dynamics.el2n(epoch)[i];
  for (double& value : sum) value /= epochs;
  return {sum.begin(), sum.end()};
}

}  // namespace

const Method kEl2n{
    .name = "el2n",
    .score = "|| p - onehot(y) ||_2, mean over the first 10 epochs",
    .kept = "highest",
    .source = "Paul et al. 2021 (Data Diet; there the mean of 10 nets at one epoch); over epochs as in CCS",
    .epochs = 10,
    .least_epochs = 1,
    .needs = {DynamicsField::kEl2n},
    .compute = compute};

}  // namespace tdds::methods
