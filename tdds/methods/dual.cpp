#include "tdds/methods/method.h"
#include "tdds/methods/windows.h"

namespace tdds::methods {
namespace {

std::unique_ptr<Scorer> make(std::int64_t samples, const MethodOptions& options) {
  return mean_over_windows(samples, options.window_size,
                           [](double deviation, double mean_miss) { return deviation * mean_miss; });
}

}  // namespace

const Method kDual{
    .name = "dual",
    .score =
        "std(p_y) (1 - mean(p_y)) in a window of J epochs, mean over the windows of the first 30 "
        "epochs",
    .kept = "highest, or drawn with Beta weights (the selection beta)",
    .source = "Cho et al. 2025 (DUAL), J = 10; 60 epochs on ImageNet; their code has a factor of 10",
    .horizon = Horizon::kWindows,
    .epochs = 30,
    .least_epochs = 2,
    .needs = {DynamicsField::kLoss},
    .make = make};

}  // namespace tdds::methods
