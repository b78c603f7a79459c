#include "kernels/philox.h"
#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

std::vector<float> compute(const DynamicsReader& dynamics, std::int32_t, const MethodOptions& options) {
  std::vector<float> score(static_cast<std::size_t>(dynamics.samples()));
  for (std::size_t id = 0; id < score.size(); ++id)
    score[id] = static_cast<float>(unit(philox(options.seed, Purpose::kSelect, 0, id).w[0]));
  return score;
}

}  // namespace

const Method kRandom{.name = "random",
                     .score = "a uniform number, by the seed and the sample id",
                     .kept = "any",
                     .source = "the baseline of every paper",
                     .epochs = 0,
                     .least_epochs = 0,
                     .needs = {},
                     .compute = compute};

}  // namespace tdds::methods
