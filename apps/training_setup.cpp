#include "apps/training_setup.h"

#include "engine/checkpoint.h"
#include "engine/trainer.h"
#include "nets/resnet.h"

namespace tdds {
namespace {

std::unique_ptr<Device> choose_device(const TrainingFlags& flags) {
  check_usage(flags.ngpu == 0 || flags.ngpu == 1, "--ngpu is {}; one GPU is used, or none: give 1 or 0",
              flags.ngpu);
  check_usage(flags.ngpu == 1 || flags.device != "cuda", "--ngpu 0 and --device cuda contradict each other");
  set_host_threads(flags.threads);
  if (flags.device == "auto") return make_device(flags.ngpu ? best_device() : DeviceKind::kCpu);
  return make_device(parse_device_kind(flags.device));
}

constexpr int kLargestCifarLike = 64;

Stem choose_stem(const std::string& name, const Dataset& data) {
  if (name == "auto") return data.train.height > kLargestCifarLike ? Stem::kImageNet : Stem::kCifar;
  check_usage(name == "cifar" || name == "imagenet",
              "there is no stem '{}'; choose cifar, imagenet or auto (--stem)", name);
  return name == "cifar" ? Stem::kCifar : Stem::kImageNet;
}

Crop choose_crop(const TrainingFlags& flags, Stem stem) {
  check_usage(flags.crop == "auto" || flags.crop == "padded" || flags.crop == "resized",
              "there is no crop '{}'; choose padded, resized or auto (--crop)", flags.crop);
  if (flags.no_augment) return Crop::kCentre;
  if (flags.crop == "auto") return stem == Stem::kImageNet ? Crop::kResized : Crop::kPadded;
  return flags.crop == "padded" ? Crop::kPadded : Crop::kResized;
}

std::int32_t choose_crop_size(const TrainingFlags& flags, Stem stem, const ImageSet& images) {
  const std::int32_t side = std::min(images.height, images.width);
  if (flags.crop_size == 0) return stem == Stem::kImageNet ? (7 * side + 4) / 8 : side;
  check_usage(flags.crop_size > 0 && flags.crop_size <= side,
              "a crop of {} does not fit into images of {}; give 1 to {} (--crop_size)", flags.crop_size,
              side, side);
  return flags.crop_size;
}

std::unique_ptr<Net> make_net(const TrainingFlags& flags, const Device& device, const Dataset& data,
                              Stem stem, std::int32_t size) {
  return make_resnet({.arch = flags.arch,
                      .classes = data.classes,
                      .width = flags.width,
                      .image_size = size,
                      .input_channels = device.kind() == DeviceKind::kCpu ? 3 : 8,
                      .stem = stem});
}

}  // namespace

TrainingSetup::TrainingSetup(const TrainingFlags& flags)
    : device_(choose_device(flags)),
      precision_(parse_precision(flags.precision, device_->kind())),
      conv_algo_(parse_conv_algo(flags.conv_algo)),
      accumulate_(flags.accumulate),
      stream_(device_->make_stream()),
      data_(load_dataset(dataset_options(flags))),
      stem_(choose_stem(flags.stem, data_)),
      crop_(choose_crop(flags, stem_)),
      net_size_(choose_crop_size(flags, stem_, data_.train)),
      net_(make_net(flags, *device_, data_, stem_, net_size_)),
      pool_(*device_, *net_) {
  net_->params().place(*device_, *stream_, precision_.compute);
  test_ = evaluator(place(test_set_, data_.test), flags.batch_size / std::max(1, flags.accumulate));
  if (data_.validation)
    validation_ = evaluator(place(validation_set_, *data_.validation),
                            flags.batch_size / std::max(1, flags.accumulate));
  if (flags.dynamics_features && !flags.evaluate)
    train_features_ = evaluator(train_set(), flags.batch_size / std::max(1, flags.accumulate));
}

const ResidentSet& TrainingSetup::place(std::optional<ResidentSet>& set, const ImageSet& images) {
  if (!set) set.emplace(*device_, *stream_, images, data_.mean, data_.std);
  return *set;
}

std::unique_ptr<Evaluator> TrainingSetup::evaluator(const ResidentSet& set, std::int32_t batch) {
  return std::make_unique<Evaluator>(*device_, *stream_, *net_, pool_, set, batch, precision_.compute,
                                     precision_.math, conv_algo_);
}

void TrainingSetup::plan(std::int64_t samples, std::int32_t batch) {
  for (const std::int32_t size : batch_sizes(samples, batch, accumulate_))
    pool_.add({.batch = size,
               .compute = precision_.compute,
               .train = true,
               .math = precision_.math,
               .algo = conv_algo_});
}

void TrainingSetup::start(const TrainingFlags& flags) {
  if (!placed_) pool_.place();
  placed_ = true;
  net_->params().initialize(*stream_, flags.manual_seed);
  if (!flags.init_weights.empty()) load_model(flags.init_weights, *stream_, net_->params());
}

const ResidentSet& TrainingSetup::train_set() {
  return place(train_set_, data_.train);
}

Evaluator& TrainingSetup::train_features() {
  check(train_features_ != nullptr, "TrainingSetup::train_features: the flags ask for no features");
  return *train_features_;
}

}  // namespace tdds
