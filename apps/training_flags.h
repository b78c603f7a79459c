#pragma once
// The flags that tdds-train and tdds-train-subset share: the official scripts', with their defaults, and
// ours.

#include <cstdint>
#include <string>

#include "apps/live_scores.h"
#include "engine/dataset.h"

namespace CLI {
class App;
}

namespace tdds {

struct TrainingFlags {
  // as in the official scripts
  std::string data_path = "./data", dataset = "cifar100", arch = "resnet18";
  std::int32_t epochs = 200, batch_size = 100;
  double learning_rate = 0.1, momentum = 0.9, decay = 5e-4;
  std::int64_t print_freq = 200;
  std::string save_path = "./checkpoint/all-dataset";
  bool evaluate = false;
  int ngpu = 1, workers = 2;
  std::uint64_t manual_seed = 42;

  // ours
  std::string device = "auto", precision = "fp32", conv_algo = "auto", stem = "auto", crop = "auto",
              init_weights, download_url, download_md5;
  int threads = 0;
  double width = 1, val_fraction = 0, checkpoint_minutes = 10, wrong_label_fraction = 0.1,
         duplicate_fraction = 0.05;
  std::string schedule = "cosine";
  double warmup_epochs = 0, lr_step_epochs = 30, lr_gamma = 0.1, label_smoothing = 0;
  std::int32_t accumulate = 1, crop_size = 0;
  std::int64_t max_train_samples = 0, shapes_train = 5000, shapes_test = 1000, stop_after_epoch = 0;
  bool download = false, resume = false, overwrite = false, no_augment = false, no_shuffle = false;
  bool dynamics = false, dynamics_npy = false;
  bool dynamics_features = false;
  bool dry_run = false, cudnn_autotune = false, debug_sync = false;
  std::string target, plan_cache;
  std::vector<std::string> dynamics_fields;  // empty: the default ones
  LiveScoreOptions score;
  DatasetOptions images;  // only what declare_image_flags (apps/dataset_flags.h) sets
};

void declare_training_flags(CLI::App& app, TrainingFlags& flags);
void declare_dynamics_flags(CLI::App& app, TrainingFlags& flags);
void declare_planning_flags(CLI::App& app, TrainingFlags& flags);
// Throws UsageError, naming the flag, for a number that makes no sense and that nothing below the programs would notice.
void check_training_flags(const TrainingFlags& flags);
bool records_dynamics(const TrainingFlags& flags);
// What goes into the dynamics store, in the store's order. Throws UsageError for a name that is no field.
std::vector<DynamicsField> recorded_fields(const TrainingFlags& flags);

DatasetOptions dataset_options(const TrainingFlags& flags);

}  // namespace tdds
