#include "apps/train/train_options.h"

#include <algorithm>

namespace tdds {

TrainOptions train_options(const TrainConfig& config, const TrainingSetup& setup,
                           const SubsetChoice* subset) {
  const std::vector<DynamicsField> fields = recorded_fields(config);
  TrainOptions options = config.train;
  options.crop = setup.crop();
  options.shuffle = !config.no_shuffle;
  options.dynamics = records_dynamics(config);
  options.feature_norm = options.dynamics &&
                         std::find(fields.begin(), fields.end(), DynamicsField::kFeatureNorm) != fields.end();
  options.visit_logits = config.dynamics_npy;
  options.compute = setup.precision().compute;
  options.math = setup.precision().math;
  options.loss_scale = setup.precision().loss_scale;
  if (subset) {
    options.subset = subset->ids;
    options.weights = subset->weights;
    options.t_max = subset->t_max;
  }
  return options;
}

std::string few_steps_warning(std::int64_t steps) {
  // Trained on 900 random images of 3,000 drawn ones (ResNet-18 of width 0.125, batches of 50, mean of two
  // seeds), the accuracy is 28 % after 54 steps, 46 after 90, 76 after 144, 84 after 198, 87 after 288 and 91
  // after 720.
  constexpr std::int64_t kFew = 200;
  if (steps >= kFew) return "";
  return fmt::format(
      "warning: {} optimizer steps are fewer than {}: the accuracy depends more on the number of steps than "
      "on the samples; use a smaller batch or more epochs",
      steps, kFew);
}

}  // namespace tdds
