#include <cmath>

#include "tdds/methods/mean.h"
#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

// The gradient of the last layer is (p - onehot) h^T, and p - onehot for its bias.
std::unique_ptr<Scorer> make(std::int64_t samples, const MethodOptions&) {
  return mean_over_epochs(samples, [](const EpochView& epoch, std::size_t i) {
    const double error = epoch.values(DynamicsField::kEl2n)[i];
    const double norm = epoch.values(DynamicsField::kFeatureNorm)[i];
    return error * std::sqrt(norm * norm + 1);
  });
}

}  // namespace

const Method kGrand{
    .name = "grand",
    .score =
        "the norm of the loss's gradient by the last layer, || p - onehot(y) ||_2 sqrt(||h||^2 + 1) with h "
        "the features, mean over the first 10 epochs; recorded on request (dynamics_features)",
    .kept = "highest",
    .source = "Paul et al. 2021 (Data Diet; there by all parameters), the last layer as in DeepCore",
    .epochs = 10,
    .needs = {DynamicsField::kEl2n, DynamicsField::kFeatureNorm},
    .make = make};

}  // namespace tdds::methods
