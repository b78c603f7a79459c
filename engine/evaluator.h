#pragma once
// Loss and accuracy on a data set, in inference mode, without augmentation.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/batch_prefetcher.h"
#include "engine/data_parallel.h"
#include "engine/device_dataset.h"
#include "engine/net.h"
#include "engine/pass_pool.h"
#include "engine/recorded_step.h"
#include "kernels/ops/step_state.h"

namespace tdds {

// Means over all samples. top5 counts a label among the five largest logits. All three are NaN if any logit
// is not finite.
struct Evaluation {
  double loss, accuracy, top5;
};

class Evaluator {
 public:
  // Adds its passes to `pool`; place() it before the first run(). `set` and `parallel` must outlive the
  // evaluator. With `parallel`, each rank evaluates a slice of the set.
  Evaluator(Device& device, Stream& stream, Net& net, PassPool& pool, const DeviceDataset& set,
            std::int32_t batch, DType compute, Conv2dMath math = Conv2dMath::kExact,
            ConvAlgo algo = ConvAlgo::kAuto, const DataParallel* parallel = nullptr);

  std::int32_t batch() const { return steps_.empty() ? 0 : steps_[0].batch; }  // of this rank

  // Collective with `parallel`: every rank gets the result. poll is called between batches and may throw to
  // end the work; it may be empty.
  Evaluation run(const std::function<void()>& poll = {});
  // The inputs of the last layer for every sample, [N,F] by row. Not with `parallel`.
  std::vector<float> features(const std::function<void()>& poll = {});

 private:
  // Enqueues the whole set and calls after_step(step, first row) after each batch.
  template <class AfterStep>
  void enqueue_all(const std::function<void()>& poll, const AfterStep& after_step);
  void enqueue_step(const RecordedStep& step);
  // Over the rows of this rank.
  struct Sums {
    double loss = 0;
    std::int64_t correct = 0, top5 = 0;
    bool finite = true;
  };
  Sums sums();

  Device& device_;
  Stream& stream_;
  Net& net_;
  const DeviceDataset& set_;
  const DataParallel* parallel_;  // null: one process
  std::vector<RecordedStep> steps_;
  DeviceMemory state_, order_, loss_, correct_, in_top5_, logit_norm_;
  std::vector<std::int32_t> rows_;               // 0 .. N - 1, or this rank's of them
  std::unique_ptr<BatchPrefetcher> prefetcher_;  // null if the images are in memory
};

}  // namespace tdds
