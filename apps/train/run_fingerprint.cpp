#include "apps/run_identity.h"

#include <fmt/ranges.h>

#include "engine/hash.h"

namespace tdds {
namespace {

const char* yes_or_no(bool value) {
  return value ? "yes" : "no";
}

const char* name_of_crop(Crop crop) {
  return crop == Crop::kCentre ? "none" : crop == Crop::kPadded ? "padded" : "resized";
}

// Of the rows and their weights: two masks of one length are two runs.
std::string subset_hash(const SubsetChoice* subset) {
  if (subset == nullptr) return "all";
  Hash hash(HashKind::kSha256);
  hash.add(subset->ids.data(), subset->ids.size() * sizeof(subset->ids[0]));
  hash.add(subset->weights.data(), subset->weights.size() * sizeof(float));
  return hash.hex().substr(0, 16);
}

std::string dynamics_text(const TrainingFlags& flags) {
  std::vector<const char*> fields;
  for (const DynamicsField field : recorded_fields(flags)) fields.push_back(name_of(field));
  return fmt::format("{}", fmt::join(fields, ","));
}

}  // namespace

RunIdentity run_identity(const TrainingFlags& flags, const TrainingSetup& setup, const Trainer& trainer,
                         const SubsetChoice* subset) {
  const TrainOptions& o = trainer.options();
  const Dataset& data = setup.data();
  return {{"dataset", data.name},
          {"fingerprint", data.fingerprint},
          {"samples", std::to_string(trainer.samples())},
          {"subset", subset_hash(subset)},
          {"normalisation", fmt::format("{} {}", fmt::join(data.mean, ","), fmt::join(data.std, ","))},
          {"arch", flags.arch},
          {"width", fmt::format("{}", flags.width)},
          {"stem", setup.stem() == Stem::kCifar ? "cifar" : "imagenet"},
          {"epochs", std::to_string(o.epochs)},
          {"batch_size", std::to_string(o.batch)},
          {"learning_rate", fmt::format("{}", o.learning_rate)},
          {"momentum", fmt::format("{}", o.momentum)},
          {"decay", fmt::format("{}", o.weight_decay)},
          {"t_max", fmt::format("{}", o.t_max)},
          {"schedule", fmt::format("{}, warm-up {}, step {} x {}", flags.schedule, flags.warmup_epochs,
                                   flags.lr_step_epochs, flags.lr_gamma)},
          {"label_smoothing", fmt::format("{}", flags.label_smoothing)},
          {"accumulate", std::to_string(o.accumulate)},
          {"seed", std::to_string(o.seed)},
          {"crop", fmt::format("{} to {}", name_of_crop(o.crop), setup.net_size())},
          {"shuffle", yes_or_no(o.shuffle)},
          {"dynamics", o.dynamics ? dynamics_text(flags) : "no"},
          {"dynamics_npy", yes_or_no(o.visit_logits)},
          {"weighted", yes_or_no(!o.weights.empty())},
          {"device", name_of(setup.device().kind())},
          {"precision", flags.precision},
          {"conv_algo", flags.conv_algo},
          {"plans", trainer.plans()}};
}

}  // namespace tdds
