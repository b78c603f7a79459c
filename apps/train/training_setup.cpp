#include "apps/train/training_setup.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "apps/cli/interrupt.h"
#include "apps/cli/progress.h"
#include "engine/io/plan_cache.h"
#include "engine/io/safetensors.h"
#include "engine/trainer.h"
#include "nets/resnet.h"

namespace tdds {
namespace {

// ~/.cache/tdds/cudnn_plans.txt, by the XDG base directory specification; "" if there is no home.
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

// A line on stderr that is redrawn on a terminal; elsewhere only the first is printed.
std::function<void(const std::string&)> show_on_stderr() {
  return [output = ProgressOutput::on_stderr(), shown = std::string()](const std::string& text) mutable {
    if (!text.empty()) heed_interrupt("stopped while convolution plans were timed");
    if (output.terminal && text != shown)
      std::fputs(
          fmt::format("\r{}\x1b[K", text.substr(0, static_cast<std::size_t>(output.width - 1))).c_str(),
          output.file);
    else if (!output.terminal && shown.empty())
      std::fputs((text + "\n").c_str(), output.file);
    std::fflush(output.file);
    if (!text.empty()) shown = text;
  };
}

// On a GPU, evaluation has a batch of its own, since larger ones are faster: this one, or what fits into this
// share of the GPU's memory. So it depends neither on the training's batch nor on what is free, and the same
// weights are evaluated with the same bits.
constexpr std::int32_t kEvaluationBatch = 1000;
constexpr std::size_t kShareForEvaluation = 8;

Stem stem_for(const Dataset& data) {
  return data.train.height > kLargestCifarLike ? Stem::kImageNet : Stem::kCifar;
}

Crop choose_crop(const TrainConfig& config, Stem stem) {
  if (config.no_augment) return Crop::kCentre;
  return config.crop.value_or(stem == Stem::kImageNet ? Crop::kResized : Crop::kPadded);
}

std::int32_t choose_crop_size(std::int32_t asked, Stem stem, const ImageSet& images) {
  const std::int32_t side = std::min(images.height, images.width);
  if (asked == 0) return stem == Stem::kImageNet ? (7 * side + 4) / 8 : side;
  check_usage(asked > 0 && asked <= side,
              "a crop of {} does not fit into images of {}; give 1 to {} (--crop_size)", asked, side, side);
  return asked;
}

std::unique_ptr<Net> make_net(const TrainConfig& config, const Device& device, const Dataset& data, Stem stem,
                              std::int32_t size) {
  return make_resnet({.arch = config.arch,
                      .classes = data.classes,
                      .width = config.width,
                      .image_size = size,
                      .input_channels = device.kind() == DeviceKind::kCpu ? 3 : 8,
                      .stem = stem});
}

}  // namespace

DeviceOptions device_options(const TrainConfig& config) {
  DeviceOptions options{
      .ordinal = config.gpu, .debug_sync = config.debug_sync, .count_accesses = config.kernel_report};
  if (!config.no_cudnn_autotune) {
    options.cudnn_autotune = !config.dry_run;
    options.plan_cache =
        plan_cache_file(config.plan_cache.empty() ? default_plan_cache() : config.plan_cache);
    options.show_timing = show_on_stderr();
  }
  const std::filesystem::path checkpoint = std::filesystem::path(config.save_path) / "checkpoint.safetensors";
  if (config.resume && std::filesystem::exists(checkpoint)) {
    const Metadata metadata = SafetensorsFile(checkpoint).metadata();
    if (const auto kept = metadata.find(kPinnedPlans); kept != metadata.end())
      options.pinned_plans = kept->second;
  }
  return options;
}

DeviceKind chosen_kind(const TrainConfig& config) {
  return config.device.value_or(config.ngpu ? best_device() : DeviceKind::kCpu);
}

std::unique_ptr<Device> choose_device(const TrainConfig& config, const std::string& plans) {
  check_usage(config.ngpu == 0 || config.ngpu == 1,
              "--ngpu is {}; here one GPU is used, or none: give 1 or 0", config.ngpu);
  check_usage(config.ngpu == 1 || config.device != DeviceKind::kCuda,
              "--ngpu 0 and --device cuda contradict each other");
  set_host_threads(config.threads);
  const DeviceKind kind = chosen_kind(config);
  check_usage(kind == DeviceKind::kCuda || !config.cudnn_autotune,
              "--cudnn_autotune chooses cuDNN's plans, and this run is on the device {}; leave it out",
              to_string(kind));
  check_usage(kind == DeviceKind::kCuda || config.gpu == 0,
              "--gpu {} chooses a GPU, and this run is on the device {}; leave it out", config.gpu,
              to_string(kind));
  check_usage(kind == DeviceKind::kSimt || !config.kernel_report,
              "--kernel_report counts what kernels do on the device simt, and this run is on the device {}; "
              "give --device simt, or leave it out",
              to_string(kind));
  DeviceOptions options = device_options(config);
  if (!plans.empty()) options.pinned_plans = plans;
  return make_device(kind, options);
}

PrecisionKind chosen_precision(const TrainConfig& config, const Device& device) {
  return config.precision.value_or(default_precision(device.kind()));
}

std::unique_ptr<Device> planned_device(const TrainConfig& config) {
  if (config.target.empty()) return choose_device(config);
  if (config.target == "native") return make_device(DeviceKind::kCuda, device_options(config));
  const std::vector<std::string> known = offline_gpus();
  check_usage(known.empty() || std::find(known.begin(), known.end(), config.target) != known.end(),
              "there is no description of a GPU '{}' (--target); choose native, {}", config.target,
              fmt::join(known, ", "));
  return make_offline_gpu(config.target);
}

TrainingSetup::TrainingSetup(const TrainConfig& config)
    : TrainingSetup(config, choose_device(config), load_dataset(dataset_options(config))) {}

TrainingSetup::TrainingSetup(const TrainConfig& config, std::unique_ptr<Device> device, Dataset data,
                             Ranks* ranks)
    : device_(std::move(device)),
      precision_kind_(chosen_precision(config, *device_)),
      precision_(precision_on(device_->kind(), precision_kind_)),
      conv_algo_(config.train.algo),
      accumulate_(config.train.accumulate),
      // simt stands for a GPU, so it runs what is queued as late as a GPU might.
      stream_(device_->make_stream(device_->kind() == DeviceKind::kSimt ? StreamMode::kDeferred
                                                                        : StreamMode::kImmediate)),
      data_(std::move(data)),
      stem_(config.stem.value_or(stem_for(data_))),
      crop_(choose_crop(config, stem_)),
      net_size_(choose_crop_size(config.crop_size, stem_, data_.train)),
      net_(make_net(config, *device_, data_, stem_, net_size_)),
      pool_(*device_, *net_) {
  if (ranks) parallel_.emplace(*ranks, ExchangeOptions{.sync_batchnorm = config.sync_batchnorm});
  net_->params().place(*device_, *stream_, precision_.compute);
  // The trainer checks batch and parts and reports errors; here they must only not divide by zero.
  const std::int32_t batch = std::max(1, config.train.batch / std::max(1, config.train.accumulate));
  test_ = evaluator(place(test_set_, data_.test), batch, parallel());
  if (data_.validation) validation_ = evaluator(place(validation_set_, *data_.validation), batch, parallel());
  // Features are written by rank 0 alone.
  if (config.dynamics_features && !config.evaluate && (!ranks || ranks->first()))
    train_features_ = evaluator(train_set(), batch, nullptr);
}

const DeviceDataset& TrainingSetup::place(std::optional<DeviceDataset>& set, const ImageSet& images) {
  if (!set) set.emplace(*device_, *stream_, images, data_.mean, data_.std);
  return *set;
}

std::int32_t TrainingSetup::evaluation_batch(std::int64_t images) {
  const std::size_t most = device_->peak().memory_bytes / kShareForEvaluation;
  auto batch = static_cast<std::int32_t>(std::min<std::int64_t>(kEvaluationBatch, images));
  const auto bytes = [&] {
    return pool_.bytes_of({.batch = batch,
                           .compute = precision_.compute,
                           .train = false,
                           .math = precision_.math,
                           .algo = conv_algo_});
  };
  while (batch > 1 && bytes() > most) batch /= 2;
  return batch;
}

std::unique_ptr<Evaluator> TrainingSetup::evaluator(const DeviceDataset& set, std::int32_t batch,
                                                    const DataParallel* parallel) {
  if (device_->kind() == DeviceKind::kCuda) batch = evaluation_batch(set.count());
  return std::make_unique<Evaluator>(*device_, *stream_, *net_, pool_, set, batch, precision_.compute,
                                     precision_.math, conv_algo_, parallel);
}

void TrainingSetup::plan(std::int64_t samples, std::int32_t batch) {
  const std::vector<std::int32_t> sizes = batch_sizes(samples, batch, accumulate_);
  const auto add = [&](std::int32_t size, std::int32_t full, std::int32_t whole) {
    if (size > 0)
      pool_.add({.batch = size,
                 .compute = precision_.compute,
                 .train = true,
                 .math = precision_.math,
                 .algo = conv_algo_,
                 .full_batch = size < full ? full : 0,
                 .whole = parallel_ ? parallel_->whole(whole) : WholeBatch{}});
  };
  const int ranks = parallel_ ? parallel_->ranks().size() : 1;
  for (const std::int32_t size : sizes)
    for (int rank = 0; rank < ranks; ++rank)
      if (!parallel_ || parallel_->ranks().first() || rank == parallel_->ranks().rank())
        add(slice_of(size, rank, ranks).count, slice_of(sizes.front(), rank, ranks).count, size);
}

void TrainingSetup::start(std::uint64_t seed, const std::string& weights, Head head) {
  if (!placed_) pool_.place();
  placed_ = true;
  net_->params().initialize(*stream_, seed);
  if (!weights.empty()) load_model(weights, *stream_, net_->params(), head);
}

const DeviceDataset& TrainingSetup::train_set() {
  return place(train_set_, data_.train);
}

Stem TrainingSetup::automatic_stem() const {
  return stem_for(data_);
}

std::int32_t TrainingSetup::automatic_size() const {
  return choose_crop_size(0, stem_, data_.train);
}

Evaluator& TrainingSetup::train_features() {
  check(train_features_ != nullptr, "TrainingSetup::train_features: the flags ask for no features");
  return *train_features_;
}

}  // namespace tdds
