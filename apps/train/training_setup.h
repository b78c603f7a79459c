#pragma once
// What training runs of one process share: the device, the data set in its memory, the network with its
// plans, and the evaluation. Its runs follow one another (apps/train/training_run.h).

#include <cstdint>
#include <memory>
#include <optional>

#include "apps/train/train_config.h"
#include "engine/data_parallel.h"
#include "engine/device_dataset.h"
#include "engine/evaluator.h"
#include "engine/net.h"
#include "engine/pass_pool.h"
#include "engine/precision.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/conv2d.h"
#include "kernels/runtime/device.h"
#include "nets/resnet.h"

namespace tdds {

// They include the file of timed plans, unless --no_cudnn_autotune is set, and with --resume the plans of the
// checkpoint. A dry run reads that file and times nothing.
DeviceOptions device_options(const TrainConfig& config);
// The device that the flags name. It keeps the convolution plans `plans` (Device::pinned_plans()) or, if that
// is empty, for a resumed run those of the checkpoint.
std::unique_ptr<Device> choose_device(const TrainConfig& config, const std::string& plans = "");
// The same for --dry_run: --target may name a GPU that is not in this machine.
std::unique_ptr<Device> planned_device(const TrainConfig& config);
// The device of --device and --ngpu, before it is made.
DeviceKind chosen_kind(const TrainConfig& config);
// --precision; auto depends on the device.
PrecisionKind chosen_precision(const TrainConfig& config, const Device& device);

// The key of Device::pinned_plans() in a checkpoint's metadata.
inline constexpr const char* kPinnedPlans = "kept_plans";

class TrainingSetup {
 public:
  // Chooses the device, loads the data set and makes the network, all by the flags. start() draws the
  // weights.
  explicit TrainingSetup(const TrainConfig& config);
  // The same with the caller's device and data set. With `ranks`, which must outlive it, this is one rank's
  // part of a training (apps/train/ranks_of_run.h).
  TrainingSetup(const TrainConfig& config, std::unique_ptr<Device> device, Dataset data,
                Ranks* ranks = nullptr);

  // Plans a training on `samples` rows, before the first start(). A run that was not planned can only be the
  // first. On rank 0 it plans the slices of all ranks.
  void plan(std::int64_t samples, std::int32_t batch);

  // Binds everything that was planned, and gives the network the weights of the file `weights` or, if that is
  // empty, weights drawn by the seed. Momenta are 0.
  void start(std::uint64_t seed, const std::string& weights, Head head = Head::kFile);

  Device& device() { return *device_; }
  const Device& device() const { return *device_; }
  Stream& stream() { return *stream_; }
  const Dataset& data() const { return data_; }
  PrecisionKind precision_kind() const { return precision_kind_; }
  const Precision& precision() const { return precision_; }
  ConvAlgo conv_algo() const { return conv_algo_; }
  Stem stem() const { return stem_; }
  // The values that --stem auto and --crop_size 0 stand for.
  Stem automatic_stem() const;
  std::int32_t automatic_size() const;
  std::int32_t net_size() const { return net_size_; }  // side of the network's input
  Crop crop() const { return crop_; }                  // of training
  Net& net() { return *net_; }
  PassPool& pool() { return pool_; }
  DataParallel* parallel() { return parallel_ ? &*parallel_ : nullptr; }  // null: one process
  int ranks() const { return parallel_ ? parallel_->ranks().size() : 1; }
  const DeviceDataset& train_set();
  Evaluator& test() { return *test_; }
  Evaluator* validation() { return validation_.get(); }  // null if nothing is held out
  Evaluator& train_features();  // of the training set; only if the flags ask for its features

 private:
  std::unique_ptr<Evaluator> evaluator(const DeviceDataset& set, std::int32_t batch,
                                       const DataParallel* parallel);
  std::int32_t evaluation_batch(std::int64_t images);
  const DeviceDataset& place(std::optional<DeviceDataset>& set, const ImageSet& images);

  std::unique_ptr<Device> device_;
  PrecisionKind precision_kind_;
  Precision precision_;
  ConvAlgo conv_algo_;
  std::int32_t accumulate_;
  std::unique_ptr<Stream> stream_;
  Dataset data_;
  Stem stem_;
  Crop crop_;
  std::int32_t net_size_;
  std::unique_ptr<Net> net_;
  PassPool pool_;
  std::optional<DataParallel> parallel_;
  std::optional<DeviceDataset> train_set_, test_set_, validation_set_;
  std::unique_ptr<Evaluator> test_, validation_, train_features_;
  bool placed_ = false;
};

}  // namespace tdds
