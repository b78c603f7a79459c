#include "engine/evaluator.h"

#include <algorithm>
#include <cmath>

#include "engine/shuffle.h"
#include "kernels/ops/advance.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/feature_norm.h"
#include "kernels/ops/step_state.h"

namespace tdds {

Evaluator::Evaluator(Device& device, Stream& stream, Net& net, PassPool& pool, const DeviceDataset& set,
                     std::int32_t batch, DType compute, Conv2dMath math, ConvAlgo algo)
    : device_(device), stream_(stream), net_(net), set_(set) {
  const std::int32_t full = static_cast<std::int32_t>(std::min<std::int64_t>(batch, set.count()));
  const std::int32_t rest = static_cast<std::int32_t>(set.count() % full);
  for (std::int32_t size : {full, rest})
    if (size)
      steps_.push_back(
          {.pass = &pool.add({.batch = size, .compute = compute, .train = false, .math = math, .algo = algo}),
           .batch = size});
  rows_ = counting_ids(set.count());
  const std::vector<std::int32_t>& order = rows_;
  if (set.source())
    prefetcher_ = std::make_unique<BatchPrefetcher>(device, stream, *set.source(), set.image_bytes(), full);
  state_ = DeviceMemory(device, sizeof(StepState), "the evaluation's state");
  order_ = DeviceMemory(device, order.size() * sizeof(std::int32_t), "the evaluation's order");
  loss_ = DeviceMemory(device, order.size() * sizeof(float), "the evaluation's losses");
  correct_ = DeviceMemory(device, order.size(), "the evaluation's hits");
  in_top5_ = DeviceMemory(device, order.size(), "the evaluation's hits among five");
  logit_norm_ = DeviceMemory(device, order.size() * sizeof(float), "the evaluation's lengths of logits");
  stream.upload(order_.data(), order.data(), order.size() * sizeof(std::int32_t));
  stream.synchronize();
}

template <class AfterStep>
void Evaluator::enqueue_all(const std::function<void()>& poll, const AfterStep& after_step) {
  stream_.zero(state_.data(), state_.bytes());
  if (prefetcher_) prefetcher_->start(rows_, 0);
  for (std::int64_t done = 0; done < set_.count();) {
    if (poll) poll();
    RecordedStep& step = done + steps_[0].batch <= set_.count() ? steps_[0] : steps_.back();
    if (prefetcher_) prefetcher_->feed();
    step.run(stream_, [&] { enqueue_step(step); });
    after_step(step, done);
    done += step.batch;
  }
}

std::vector<float> Evaluator::features(const std::function<void()>& poll) {
  const auto width = static_cast<std::size_t>(net_.features());
  std::vector<float> all(static_cast<std::size_t>(set_.count()) * width);
  enqueue_all(poll, [&](const RecordedStep& step, std::int64_t first) {
    stream_.download(all.data() + static_cast<std::size_t>(first) * width, step.pass->features(),
                     static_cast<std::size_t>(step.batch) * width * sizeof(float));
  });
  stream_.synchronize();
  return all;
}

Evaluation Evaluator::run(const std::function<void()>& poll) {
  enqueue_all(poll, [](const RecordedStep&, std::int64_t) {});
  StepState state;
  stream_.download(&state, state_.data(), sizeof(state));
  std::vector<std::uint8_t> in_top5(in_top5_.bytes());
  stream_.download(in_top5.data(), in_top5_.data(), in_top5_.bytes());
  std::vector<float> logit_norm(rows_.size());
  stream_.download(logit_norm.data(), logit_norm_.data(), logit_norm_.bytes());
  stream_.synchronize();
  if (!std::all_of(logit_norm.begin(), logit_norm.end(), [](float norm) { return std::isfinite(norm); }))
    return {.loss = NAN, .accuracy = NAN, .top5 = NAN};
  const auto n = static_cast<double>(set_.count());
  return {.loss = state.loss_sum / n,
          .accuracy = static_cast<double>(state.correct) / n,
          .top5 = static_cast<double>(std::count(in_top5.begin(), in_top5.end(), 1)) / n};
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
