#pragma once
// Training: the steps, the visiting order of the samples, and the records of an epoch.
//
// A step is augment, forward, loss and dynamics, backward, optimizer, bookkeeping. It is enqueued eagerly
// the first time, then recorded and replayed (one recording per batch size). step() does not wait for the
// device, except for images from the disk: then it waits for the previous upload.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/batch_prefetcher.h"
#include "engine/data_parallel.h"
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
  std::int32_t batch = 100;  // the last batch of an epoch may be smaller, and is kept
  std::int32_t epochs = 200;
  double learning_rate = 0.1, momentum = 0.9, weight_decay = 5e-4;
  bool nesterov = true;
  double t_max = 0;             // of the cosine schedule, in steps; 0: full_t_max
  Schedule schedule = {};       // its warm-up is in epochs
  double label_smoothing = 0;   // of the gradient; the recorded loss stays -log p_y
  std::int32_t accumulate = 1;  // micro-batches per step; must divide `batch`
  std::uint64_t seed = 42;
  Crop crop = Crop::kPadded;  // kCentre: no augmentation
  bool shuffle = true;
  bool dynamics = false;      // keep the previous visit's log-probabilities and record every field
  bool feature_norm = false;  // with dynamics: also record the norm of each sample's features
  bool visit_logits = false;  // keep the epoch's logits, for the official .npy files
  std::vector<std::int32_t> subset = {};  // rows to train on; empty: all
  std::vector<float> weights = {};        // [N] by row: the official loss weighting; empty: off
  DType compute = DType::kF32;
  Conv2dMath math = Conv2dMath::kExact;  // kTf32 with kF32: the precision tf32
  ConvAlgo algo = ConvAlgo::kAuto;       // on a CPU
  float loss_scale = 1;
  bool record_steps = true;  // false: every step runs eagerly, for comparison
};

// A device array that a checkpoint needs, so that a resumed training has the same bits.
struct StateArray {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  void* device_memory;
};

// The results of an epoch: values by row, and the visiting order.
struct EpochRecord {
  EpochDynamics values;             // with dynamics every field, else only loss and correct
  std::vector<std::int32_t> order;  // rows in visiting order
  std::vector<float> visit_logits;  // [n,K] in visiting order, or empty
  double loss = 0, accuracy = 0;    // means over the visited samples; loss is the unweighted cross-entropy
  std::int64_t skipped_steps = 0;   // since training began, for non-finite gradients
};

// The zero padding of Crop::kPadded: CIFAR's 4, or a sixteenth of the shorter side if that is more.
std::int32_t crop_padding(std::int32_t height, std::int32_t width);

// The batch sizes of an epoch's passes: the full batch (with accumulation, micro-batch) and, if it does not
// divide the samples, the last one. Throws UsageError for no samples, an empty batch, or one that
// `accumulate` does not divide.
std::vector<std::int32_t> batch_sizes(std::int64_t samples, std::int32_t batch, std::int32_t accumulate = 1);
// The last step may have fewer samples.
std::int64_t steps_per_epoch(std::int64_t samples, std::int32_t batch);

class Trainer {
 public:
  // Adds its passes to `pool`; place() it before the first step. `set` and `parallel` must outlive the
  // trainer. With `parallel`, the trainers of all ranks make the same calls, and this one computes a slice of
  // each batch.
  Trainer(Device& device, Stream& stream, Net& net, PassPool& pool, const DeviceDataset& set,
          TrainOptions options, DataParallel* parallel = nullptr);

  const TrainOptions& options() const { return options_; }
  std::int64_t samples() const { return static_cast<std::int64_t>(ids_.size()); }
  std::int64_t steps_per_epoch() const;
  std::int32_t epoch() const { return epoch_; }    // the current one, from 0; = epochs at the end
  std::int64_t cursor() const { return cursor_; }  // samples of it enqueued so far
  bool done() const { return epoch_ >= options_.epochs; }

  // Enqueues the next step of the current epoch. Call end_epoch() when cursor() == samples().
  void step();

  // Waits for the device and reads the running sums. Throws Error if the loss is not finite.
  StepState read_state();

  // Waits for the device, returns the epoch's values and starts the next epoch. Throws Error if every step
  // of the epoch was skipped because its gradients were not finite.
  EpochRecord end_epoch();

  // The arrays that a checkpoint needs besides the parameters. They are valid between steps after
  // read_state().
  std::vector<StateArray> state_arrays() const;
  // Continues from the position in the arrays after they were filled from a checkpoint.
  void restored();

  // Seconds that the steps waited for images from the disk; 0 if they are in memory.
  double waited_for_data() const { return prefetcher_ ? prefetcher_->waited() : 0; }

  std::vector<ConvolutionPlan> plans() const;
  // The commands of the recorded step of a full batch; 0 before it was recorded.
  std::size_t commands() const;
  std::size_t state_bytes() const { return memory_bytes_; }

 private:
  void allocate();
  void start_epoch();
  // The unit of recording: a batch or, with accumulation, a part of one.
  struct MicroStep {
    RecordedStep recorded;  // its pass is null where this rank has no images
    BatchSlice slice;       // of the images, for this rank
    std::int32_t group;     // images of the whole batch
    bool first, last;       // of the batch
  };
  void plan_steps(PassPool& pool);
  MicroStep* find_step(std::int32_t size, std::int32_t group, bool first, bool last);
  void enqueue_step(const MicroStep& micro);
  void enqueue_images(const MicroStep& micro);
  void enqueue_passes(const MicroStep& micro);
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
  DataParallel* parallel_;  // null: one process
  std::vector<std::int32_t> ids_, order_host_;
  std::vector<MicroStep> steps_;  // the different ones of an epoch; the first one of a full batch is in front
  std::int32_t epoch_ = 0;
  std::int64_t cursor_ = 0;
  std::int64_t steps_before_ = 0, skipped_before_ = 0;  // this epoch, or since it was resumed
  bool order_current_ = false;
  std::unique_ptr<BatchPrefetcher> prefetcher_;  // null if the images are in memory
  std::size_t memory_bytes_ = 0;

  DeviceMemory state_, order_, lr_table_, loss_, correct_, kl_, true_kl_, log_other_, entropy_, el2n_,
      feature_norm_, prev_logp_, visit_logits_, weights_, batch_weight_, filter_sum_, vector_sum_;
};

}  // namespace tdds
