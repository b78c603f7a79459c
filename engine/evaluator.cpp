#include "engine/evaluator.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ops/advance.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/feature_norm.h"
#include "kernels/ops/step_state.h"

namespace tdds {

Evaluator::Evaluator(Device& device, Stream& stream, Net& net, PassPool& pool, const DeviceDataset& set,
                     std::int32_t batch, DType compute, Conv2dMath math, ConvAlgo algo,
                     const DataParallel* parallel)
    : device_(device), stream_(stream), net_(net), set_(set), parallel_(parallel) {
  const BatchSlice slice = slice_of(parallel, static_cast<std::int32_t>(set.count()));
  rows_.resize(static_cast<std::size_t>(slice.count));
  std::iota(rows_.begin(), rows_.end(), slice.first);
  const auto count = static_cast<std::int32_t>(rows_.size());
  const std::int32_t full = std::clamp(batch, 1, std::max(count, 1));
  for (std::int32_t size : {std::min(full, count), count % full})
    if (size)
      steps_.push_back(
          {.pass = &pool.add({.batch = size, .compute = compute, .train = false, .math = math, .algo = algo}),
           .batch = size});
  if (set.source())
    prefetcher_ = std::make_unique<BatchPrefetcher>(device, stream, *set.source(), set.image_bytes(), full);
  const auto all = static_cast<std::size_t>(set.count());
  state_ = DeviceMemory(device, sizeof(StepState), "the evaluation's state");
  order_ = DeviceMemory(device, all * sizeof(std::int32_t), "the evaluation's order");
  loss_ = DeviceMemory(device, all * sizeof(float), "the evaluation's losses");
  correct_ = DeviceMemory(device, all, "the evaluation's hits");
  in_top5_ = DeviceMemory(device, all, "the evaluation's hits among five");
  logit_norm_ = DeviceMemory(device, all * sizeof(float), "the evaluation's lengths of logits");
  stream.upload(order_.data(), rows_.data(), rows_.size() * sizeof(std::int32_t));
  stream.synchronize();
}

template <class AfterStep>
void Evaluator::enqueue_all(const std::function<void()>& poll, const AfterStep& after_step) {
  stream_.zero(state_.data(), state_.bytes());
  if (prefetcher_) prefetcher_->start(rows_, 0);
  const auto count = static_cast<std::int64_t>(rows_.size());
  for (std::int64_t done = 0; done < count;) {
    if (poll) poll();
    RecordedStep& step = done + steps_[0].batch <= count ? steps_[0] : steps_.back();
    if (prefetcher_) prefetcher_->feed();
    step.run(stream_, [&] { enqueue_step(step); });
    after_step(step, done);
    done += step.batch;
  }
}

std::vector<float> Evaluator::features(const std::function<void()>& poll) {
  check(!parallel_, "Evaluator::features: this evaluator has a slice of the images");
  const auto width = static_cast<std::size_t>(net_.features());
  std::vector<float> all(static_cast<std::size_t>(set_.count()) * width);
  enqueue_all(poll, [&](const RecordedStep& step, std::int64_t first) {
    stream_.download(all.data() + static_cast<std::size_t>(first) * width, step.pass->features(),
                     static_cast<std::size_t>(step.batch) * width * sizeof(float));
  });
  stream_.synchronize();
  return all;
}

Evaluator::Sums Evaluator::sums() {
  StepState state;
  stream_.download(&state, state_.data(), sizeof(state));
  std::vector<std::uint8_t> in_top5(in_top5_.bytes());
  stream_.download(in_top5.data(), in_top5_.data(), in_top5_.bytes());
  std::vector<float> logit_norm(in_top5.size());
  stream_.download(logit_norm.data(), logit_norm_.data(), logit_norm_.bytes());
  stream_.synchronize();
  Sums sums{.loss = state.loss_sum, .correct = state.correct};
  for (const std::int32_t row : rows_) {
    sums.top5 += in_top5[static_cast<std::size_t>(row)];
    sums.finite = sums.finite && std::isfinite(logit_norm[static_cast<std::size_t>(row)]);
  }
  return sums;
}

Evaluation Evaluator::run(const std::function<void()>& poll) {
  enqueue_all(poll, [](const RecordedStep&, std::int64_t) {});
  const Sums own = sums();
  std::vector<Sums> parts{own};
  if (parallel_) {
    parts.resize(static_cast<std::size_t>(parallel_->ranks().size()));
    parallel_->ranks().all_gather(&own, parts.data(), sizeof(own));
  }
  Sums all;
  for (const Sums& part : parts) {
    all.loss += part.loss;
    all.correct += part.correct;
    all.top5 += part.top5;
    all.finite = all.finite && part.finite;
  }
  if (!all.finite) return {.loss = NAN, .accuracy = NAN, .top5 = NAN};
  const auto n = static_cast<double>(set_.count());
  return {.loss = all.loss / n,
          .accuracy = static_cast<double>(all.correct) / n,
          .top5 = static_cast<double>(all.top5) / n};
}

void Evaluator::enqueue_step(const RecordedStep& step) {
  auto* state = state_.get<StepState>();
  const auto* order = order_.get<std::int32_t>();
  augment(stream_, set_.augmentation(step.pass->input(), order, state, prefetcher_.get()));
  const Pass::Loss loss{.softmax = {.labels = set_.labels(),
                                    .order = order,
                                    .state = state,
                                    .out = {.loss = loss_.get<float>(),
                                            .correct = correct_.get<std::uint8_t>(),
                                            .in_top5 = in_top5_.get<std::uint8_t>()},
                                    .loss_scale = 1,
                                    .batch = step.batch,
                                    .classes = net_.classes()}};
  step.pass->forward(stream_, &loss);
  // Hits and losses do not show every logit that is not finite: with a NaN, a hit depends on how the
  // compiler orders a comparison, and -inf of another class does not change the loss. The norm of the logits
  // does.
  feature_norm(stream_, {.features = step.pass->logits(),
                         .order = order,
                         .state = state,
                         .norm = logit_norm_.get<float>(),
                         .batch = step.batch,
                         .width = net_.classes()});
  advance(stream_, {.state = state,
                    .order = order,
                    .loss = loss_.get<float>(),
                    .correct = correct_.get<std::uint8_t>(),
                    .batch = step.batch,
                    .count_step = false});
}

}  // namespace tdds
