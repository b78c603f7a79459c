#pragma once
// Loss and accuracy on a data set, in inference mode, without augmentation.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/batch_prefetcher.h"
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
  // Adds its passes to `pool`; place() it before the first run(). `set` must outlive the evaluator.
  Evaluator(Device& device, Stream& stream, Net& net, PassPool& pool, const DeviceDataset& set,
            std::int32_t batch, DType compute, Conv2dMath math = Conv2dMath::kExact,
            ConvAlgo algo = ConvAlgo::kAuto);

  std::int32_t batch() const { return steps_[0].batch; }

  // poll is called between batches and may throw to end the work; it may be empty.
  Evaluation run(const std::function<void()>& poll = {});
  // The inputs of the last layer for every sample, [N,F] by row.
  std::vector<float> features(const std::function<void()>& poll = {});

 private:
  // Enqueues the whole set and calls after_step(step, first row) after each batch.
  template <class AfterStep>
  void enqueue_all(const std::function<void()>& poll, const AfterStep& after_step);
  void enqueue_step(const RecordedStep& step);

  Device& device_;
  Stream& stream_;
  Net& net_;
  const DeviceDataset& set_;
  std::vector<RecordedStep> steps_;
  DeviceMemory state_, order_, loss_, correct_, in_top5_, logit_norm_;
  std::vector<std::int32_t> rows_;               // 0 .. N - 1
  std::unique_ptr<BatchPrefetcher> prefetcher_;  // null if the images are in memory
};

}  // namespace tdds
