#include <algorithm>

#include "tdds/methods/method.h"

namespace tdds::methods {
namespace {

class Entropy : public Scorer {
 public:
  explicit Entropy(std::int64_t samples) : last_(static_cast<std::size_t>(samples)) {}

  void add(const EpochView& epoch) override {
    std::copy_n(epoch.values(DynamicsField::kEntropy), last_.size(), last_.begin());
  }
  std::vector<float> score() const override { return last_; }

 private:
  std::vector<float> last_;
};

std::unique_ptr<Scorer> make(std::int64_t samples, const MethodOptions&) {
  return std::make_unique<Entropy>(samples);
}

}  // namespace

const Method kEntropy{
    .name = "entropy",
    .score = "-sum_c p_c log p_c in the last epoch used, of the training pass",
    .kept = "highest",
    .source =
        "Coleman et al. 2020; from the training pass as in DUAL's code (CCS evaluates the final "
        "net without augmentation)",
    .needs = {DynamicsField::kEntropy},
    .make = make};

}  // namespace tdds::methods
