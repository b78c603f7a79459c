#include "tdds/methods/method.h"
#include "tdds/methods/windows.h"

namespace tdds::methods {
namespace {

std::unique_ptr<Scorer> make(std::int64_t samples, const MethodOptions& options) {
  return mean_over_windows(samples, options.window_size, [](double deviation, double) { return deviation; });
}

}  // namespace

const Method kDynUnc{
    .name = "dyn_unc",
    .score = "the standard deviation (unbiased) of p_y in a window of J epochs, mean over all windows",
    .kept = "highest",
    .source =
        "He et al. 2024 (Dyn-Unc), J = 10; their code leaves out the last window and has a "
        "factor of 10",
    .horizon = Horizon::kWindows,
    .least_epochs = 2,
    .needs = {DynamicsField::kLoss},
    .make = make};

}  // namespace tdds::methods
