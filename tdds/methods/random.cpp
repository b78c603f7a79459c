#include "kernels/numerics/philox.h"
#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

class Random : public Scorer {
 public:
  Random(std::int64_t samples, std::uint64_t seed) : samples_(samples), seed_(seed) {}

  void add(const EpochView&) override {}
  std::vector<float> score() const override {
    std::vector<float> score(static_cast<std::size_t>(samples_));
    for (std::size_t id = 0; id < score.size(); ++id)
      score[id] = static_cast<float>(unit(philox(seed_, Purpose::kSelect, 0, id).w[0]));
    return score;
  }

 private:
  std::int64_t samples_;
  std::uint64_t seed_;
};

std::unique_ptr<Scorer> make(std::int64_t samples, const MethodOptions& options) {
  return std::make_unique<Random>(samples, options.seed);
}

}  // namespace

const Method kRandom{.name = "random",
                     .score = "a uniform number, by the seed and the sample id",
                     .kept = "any; with the selection balanced as many of each class",
                     .source = "the baseline of every paper",
                     .least_epochs = 0,
                     .drawn = true,
                     .make = make};

}  // namespace tdds::methods
