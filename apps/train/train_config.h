#pragma once
// The configuration of a training, by flags that tdds-train, tdds-train-subset and tdds-sweep share: those of
// the official scripts, with their defaults, and ours.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/config_file.h"
#include "apps/cli/flags.h"
#include "apps/train/online_scores.h"
#include "engine/checkpoint.h"
#include "engine/data/dataset.h"
#include "engine/precision.h"
#include "engine/trainer.h"
#include "nets/resnet.h"

namespace tdds {

// The batch size of the official train_subset.py; that of train.py is 100.
inline constexpr std::int32_t kOfficialSubsetBatch = 128;

struct TrainConfig {
  DatasetOptions data{.name = "cifar100",
                      .data_path = "./data"};  // without seed and callbacks: see dataset_options()
  std::string arch = "resnet18";
  double width = 1;
  std::optional<Stem> stem;    // none: by the images' size
  std::optional<Crop> crop;    // kPadded or kResized; none: by the stem
  std::int32_t crop_size = 0;  // 0: by the stem
  bool no_augment = false, no_shuffle = false;
  TrainOptions train;  // as set by flags; train_options() adds what follows from the data and the device
  std::optional<DeviceKind> device;        // none: a GPU if there is one
  std::optional<PrecisionKind> precision;  // none: by the device
  int threads = 0, gpu = 0, ngpu = 1, workers = 2;
  std::int32_t ranks = 1;      // with dry_run: to plan for
  double link_bandwidth = 25;  // with dry_run: GB/s that a rank sends and receives
  bool cudnn_autotune = false,
       no_cudnn_autotune = false;  // on a GPU plans are timed unless the second is set
  bool debug_sync = false, sync_batchnorm = false;
  std::string plan_cache;
  bool dynamics = false, dynamics_npy = false, dynamics_features = false;
  std::vector<DynamicsField> dynamics_fields;  // empty: the default ones
  OnlineScoreOptions score;
  std::string save_path = "./checkpoint/all-dataset", init_weights, target;
  Head init_head = Head::kFile;  // of init_weights
  std::int64_t print_freq = 200, stop_after_epoch = 0;
  double checkpoint_minutes = 10;
  ConfigFlags files;  // of flags
  bool evaluate = false, resume = false, overwrite = false, dry_run = false, kernel_report = false;
};

FlagTable training_flags(TrainConfig& config);
FlagTable dynamics_flags(TrainConfig& config);
FlagTable planning_flags(TrainConfig& config);

// The flags that a run's fingerprint (apps/train/run_fingerprint.h) holds, by name and as text.
inline constexpr std::array kFingerprintFlags{"arch",          "width",     "epochs",    "batch_size",
                                              "learning_rate", "momentum",  "decay",     "label_smoothing",
                                              "accumulate",    "precision", "conv_algo", "sync_batchnorm"};

// Throws UsageError, naming the flag, for an invalid number that the layers below would not detect.
void check_config(const TrainConfig& config);
bool records_dynamics(const TrainConfig& config);
// The fields of the dynamics store, in the store's order.
std::vector<DynamicsField> recorded_fields(const TrainConfig& config);

DatasetOptions dataset_options(const TrainConfig& config);

}  // namespace tdds
