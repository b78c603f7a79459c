#include "apps/training_setup.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "engine/checkpoint.h"
#include "engine/safetensors.h"
#include "engine/trainer.h"
#include "nets/resnet.h"

namespace tdds {
namespace {

// ~/.cache/tdds/cudnn_plans.txt, by the XDG base directory specification; "" where there is no home.
std::string default_plan_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path folder;
  if (cache && *cache == '/')
    folder = cache;
  else if (home && *home == '/')
    folder = std::filesystem::path(home) / ".cache";
  else
    return "";
  return (folder / "tdds" / "cudnn_plans.txt").string();
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

DeviceOptions device_options(const TrainingFlags& flags) {
  DeviceOptions options{.debug_sync = flags.debug_sync, .cudnn_autotune = flags.cudnn_autotune};
  if (flags.cudnn_autotune) {
    options.plan_cache = flags.plan_cache.empty() ? default_plan_cache() : flags.plan_cache;
    std::error_code ignored;  // what cannot be written is told where it is written
    std::filesystem::create_directories(std::filesystem::path(options.plan_cache).parent_path(), ignored);
  }
  const std::filesystem::path checkpoint = std::filesystem::path(flags.save_path) / "checkpoint.safetensors";
  if (flags.resume && std::filesystem::exists(checkpoint)) {
    const Metadata metadata = SafetensorsFile(checkpoint).metadata();
    if (const auto kept = metadata.find(kKeptPlans); kept != metadata.end())
      options.kept_plans = kept->second;
  }
  return options;
}

std::unique_ptr<Device> choose_device(const TrainingFlags& flags) {
  check_usage(flags.ngpu == 0 || flags.ngpu == 1, "--ngpu is {}; one GPU is used, or none: give 1 or 0",
              flags.ngpu);
  check_usage(flags.ngpu == 1 || flags.device != "cuda", "--ngpu 0 and --device cuda contradict each other");
  set_host_threads(flags.threads);
  const DeviceKind kind = flags.device != "auto" ? parse_device_kind(flags.device)
                          : flags.ngpu           ? best_device()
                                                 : DeviceKind::kCpu;
  check_usage(kind == DeviceKind::kCuda || !flags.cudnn_autotune,
              "--cudnn_autotune chooses cuDNN's plans, and this run is on the device {}; leave it out",
              name_of(kind));
  return make_device(kind, device_options(flags));
}

std::unique_ptr<Device> planned_device(const TrainingFlags& flags) {
  if (flags.target.empty()) return choose_device(flags);
  if (flags.target == "native") return make_device(DeviceKind::kCuda, device_options(flags));
  const std::vector<std::string> known = described_gpus();
  check_usage(known.empty() || std::find(known.begin(), known.end(), flags.target) != known.end(),
              "there is no description of a GPU '{}' (--target); choose native, {}", flags.target,
              fmt::join(known, ", "));
  return make_described_gpu(flags.target);
}

TrainingSetup::TrainingSetup(const TrainingFlags& flags)
    : TrainingSetup(flags, choose_device(flags), load_dataset(dataset_options(flags))) {}

TrainingSetup::TrainingSetup(const TrainingFlags& flags, std::unique_ptr<Device> device, Dataset data)
    : device_(std::move(device)),
      precision_(parse_precision(flags.precision, device_->kind())),
      conv_algo_(parse_conv_algo(flags.conv_algo)),
      accumulate_(flags.accumulate),
      // simt stands for a GPU, so it runs what is queued as late as a GPU might.
      stream_(device_->make_stream(device_->kind() == DeviceKind::kSimt ? StreamMode::kDeferred
                                                                        : StreamMode::kImmediate)),
      data_(std::move(data)),
      stem_(choose_stem(flags.stem, data_)),
      crop_(choose_crop(flags, stem_)),
      net_size_(choose_crop_size(flags, stem_, data_.train)),
      net_(make_net(flags, *device_, data_, stem_, net_size_)),
      pool_(*device_, *net_) {
  net_->params().place(*device_, *stream_, precision_.compute);
  // Training checks batch and parts, and says what is wrong; here they may not stop the program by dividing.
  const std::int32_t batch = std::max(1, flags.batch_size / std::max(1, flags.accumulate));
  test_ = evaluator(place(test_set_, data_.test), batch);
  if (data_.validation) validation_ = evaluator(place(validation_set_, *data_.validation), batch);
  if (flags.dynamics_features && !flags.evaluate) train_features_ = evaluator(train_set(), batch);
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

void TrainingSetup::start(std::uint64_t seed, const std::string& weights) {
  if (!placed_) pool_.place();
  placed_ = true;
  net_->params().initialize(*stream_, seed);
  if (!weights.empty()) load_model(weights, *stream_, net_->params());
}

const ResidentSet& TrainingSetup::train_set() {
  return place(train_set_, data_.train);
}

Evaluator& TrainingSetup::train_features() {
  check(train_features_ != nullptr, "TrainingSetup::train_features: the flags ask for no features");
  return *train_features_;
}

}  // namespace tdds
