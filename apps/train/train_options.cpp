#include "apps/train_options.h"

#include <algorithm>

namespace tdds {

TrainOptions train_options(const TrainingFlags& flags, const TrainingSetup& setup,
                           const SubsetChoice* subset) {
  const bool dynamics = records_dynamics(flags);
  const std::vector<DynamicsField> fields = recorded_fields(flags);
  const bool feature_norm =
      std::find(fields.begin(), fields.end(), DynamicsField::kFeatureNorm) != fields.end();
  TrainOptions options{.batch = flags.batch_size,
                       .epochs = flags.epochs,
                       .learning_rate = flags.learning_rate,
                       .momentum = flags.momentum,
                       .weight_decay = flags.decay,
                       .schedule = {.decay = parse_decay(flags.schedule),
                                    .warmup_epochs = flags.warmup_epochs,
                                    .step_epochs = flags.lr_step_epochs,
                                    .gamma = flags.lr_gamma},
                       .label_smoothing = static_cast<float>(flags.label_smoothing),
                       .accumulate = flags.accumulate,
                       .seed = flags.manual_seed,
                       .crop = setup.crop(),
                       .shuffle = !flags.no_shuffle,
                       .dynamics = dynamics,
                       .feature_norm = dynamics && feature_norm,
                       .visit_logits = flags.dynamics_npy,
                       .compute = setup.precision().compute,
                       .math = setup.precision().math,
                       .algo = setup.conv_algo(),
                       .loss_scale = setup.precision().loss_scale};
  if (subset) {
    options.subset = subset->ids;
    options.weights = subset->weights;
    options.t_max = subset->t_max;
  }
  return options;
}

}  // namespace tdds
