#include "tdds/methods/mean.h"
#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

std::unique_ptr<Scorer> make(std::int64_t samples, const MethodOptions&) {
  return mean_over_epochs(samples, [](const EpochView& epoch, std::size_t i) {
    return static_cast<double>(epoch.values(DynamicsField::kEl2n)[i]);
  });
}

}  // namespace

const Method kEl2n{
    .name = "el2n",
    .score = "|| p - onehot(y) ||_2, mean over the first 10 epochs",
    .kept = "highest",
    .source = "Paul et al. 2021 (Data Diet; there the mean of 10 nets at one epoch); over epochs as in CCS",
    .epochs = 10,
    .needs = {DynamicsField::kEl2n},
    .make = make};

}  // namespace tdds::methods
