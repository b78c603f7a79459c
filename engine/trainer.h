#pragma once
// Training: what a step is, in which order the samples come, and what an epoch leaves behind.
//
// A step is augment, forward, loss and dynamics, backward, optimizer, bookkeeping: enqueued eagerly the first
// time, then recorded and replayed (one recording per batch size). step() itself does not wait for the
// device, but where the images come from the disk: then for the upload before, once a step.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/batch_prefetcher.h"
#include "engine/device_dataset.h"
#include "engine/io/dynamics_store.h"
#include "engine/net.h"
#include "engine/pass_pool.h"
#include "engine/recorded_step.h"
#include "engine/schedule.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"

namespace tdds {

struct TrainOptions {
  std::int32_t batch = 100;  // the last batch of an epoch may be shorter, and is kept
  std::int32_t epochs = 200;
  double learning_rate = 0.1, momentum = 0.9, weight_decay = 5e-4;
  bool nesterov = true;
  double t_max = 0;             // of the cosine schedule, in steps; 0: full_t_max
  Schedule schedule = {};       // its warm-up counts in epochs
  double label_smoothing = 0;   // of the gradient; the recorded loss stays -log p_y
  std::int32_t accumulate = 1;  // micro-batches whose gradients make a step: `batch` is a multiple
  std::uint64_t seed = 42;
  Crop crop = Crop::kPadded;  // kCentre: no augmentation
  bool shuffle = true;
  bool dynamics = false;      // keep the previous visit's log-probabilities and record every field
  bool feature_norm = false;  // with dynamics: also the length of each sample's features
  bool visit_logits = false;  // keep the epoch's logits, for the official .npy files
  std::vector<std::int32_t> subset = {};  // rows to train on; empty: all
  std::vector<float> weights = {};        // [N] by row: the official loss weighting; empty: off
  DType compute = DType::kF32;
  Conv2dMath math = Conv2dMath::kExact;  // kTf32 with kF32: the precision tf32
  ConvAlgo algo = ConvAlgo::kAuto;       // of a CPU
  float loss_scale = 1;
  bool record_steps = true;  // false: every step eagerly, for comparison
};

// A device array that a checkpoint must hold for training to go on bit for bit.
struct StateArray {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  void* device_memory;
};

// What an epoch left: values by row, and the visiting order.
struct EpochRecord {
  EpochDynamics values;             // with dynamics every field, else loss and correct alone
  std::vector<std::int32_t> order;  // rows in visiting order
  std::vector<float> visit_logits;  // [n,K] in visiting order, or empty
  double loss = 0, accuracy = 0;    // means over the visited samples; loss is the unweighted cross-entropy
  std::int64_t skipped_steps = 0;   // since training began, for non-finite gradients
};

// The zero padding of Crop::kPadded: CIFAR's 4 for images of up to 64 pixels, and in that proportion for
// larger ones.
std::int32_t crop_padding(std::int32_t height, std::int32_t width);

// The sizes of the passes of an epoch: the full batch (with accumulation, micro-batch) and, where it does not
// divide the samples, the last one. Throws UsageError for no samples, an empty batch, or one that
// `accumulate` does not divide.
std::vector<std::int32_t> batch_sizes(std::int64_t samples, std::int32_t batch, std::int32_t accumulate = 1);
// The last one may be of fewer samples.
std::int64_t steps_per_epoch(std::int64_t samples, std::int32_t batch);

class Trainer {
 public:
  // Adds its passes to `pool`; place() it before the first step. `set` must outlive the trainer.
  Trainer(Device& device, Stream& stream, Net& net, PassPool& pool, const DeviceDataset& set,
          TrainOptions options);

  const TrainOptions& options() const { return options_; }
  std::int64_t samples() const { return static_cast<std::int64_t>(ids_.size()); }
  std::int64_t steps_per_epoch() const;
  std::int32_t epoch() const { return epoch_; }    // the current one, from 0; = epochs when all is done
  std::int64_t cursor() const { return cursor_; }  // samples of it enqueued so far
  bool done() const { return epoch_ >= options_.epochs; }

  // Enqueues the next step of the current epoch. Call end_epoch() when cursor() == samples().
  void step();

  // Waits, and reads the running sums. Throws Error where the loss is not finite: train at a lower rate.
  StepState read_state();

  // Waits, takes the epoch's values and starts the next epoch. Throws Error where every one of its steps was
  // skipped for gradients that are not finite: nothing was learnt.
  EpochRecord end_epoch();

  // For checkpoints, beside the parameters: valid between steps after read_state().
  std::vector<StateArray> state_arrays() const;
  // After the arrays were filled from a checkpoint: continues where they say.
  void restored();

  // Seconds that the steps waited for images from the disk; 0 where they are in memory.
  double waited_for_data() const { return prefetcher_ ? prefetcher_->waited() : 0; }

  std::vector<ConvolutionPlan> plans() const;
  std::size_t state_bytes() const { return memory_bytes_; }

 private:
  void allocate();
  void start_epoch();
  // A batch, or with accumulation a part of one: what is recorded.
  struct MicroStep {
    RecordedStep recorded;
    std::int32_t group;  // images of the whole batch
    bool first, last;    // of the batch
  };
  void plan_steps(PassPool& pool);
  MicroStep* find_step(std::int32_t size, std::int32_t group, bool first, bool last);
  void enqueue_step(const MicroStep& micro);
  void enqueue_accumulation(bool first);
  void enqueue_optimizer();
  DynamicsView dynamics_view() const;
  StepState download_state();
  void check_finite(const StepState& state) const;
  void check_some_step_counted(const StepState& state) const;

  Device& device_;
  Stream& stream_;
  Net& net_;
  const DeviceDataset& set_;
  TrainOptions options_;
  std::vector<std::int32_t> ids_, order_host_;
  std::vector<MicroStep> steps_;  // each that an epoch holds once, the first of the full batch in front
  std::int32_t epoch_ = 0;
  std::int64_t cursor_ = 0;
  std::int64_t steps_before_ = 0, skipped_before_ = 0;  // this epoch, or since it was resumed
  bool order_current_ = false;
  std::unique_ptr<BatchPrefetcher> prefetcher_;  // null where the images are in memory
  std::size_t memory_bytes_ = 0;

  DeviceMemory state_, order_, lr_table_, loss_, correct_, kl_, true_kl_, log_other_, entropy_, el2n_,
      feature_norm_, prev_logp_, visit_logits_, weights_, batch_weight_, filter_sum_, vector_sum_;
};

}  // namespace tdds
