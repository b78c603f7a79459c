#include "engine/trainer.h"

#include <algorithm>
#include <cmath>

#include "engine/schedule.h"
#include "engine/shuffle.h"
#include "kernels/numerics/round_up.h"
#include "kernels/ops/accumulate.h"
#include "kernels/ops/advance.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"

namespace tdds {
namespace {

void check_options(const TrainOptions& options, std::int64_t rows) {
  check_usage(options.epochs >= 1, "a training needs at least 1 epoch, not {} (`epochs`)", options.epochs);
  const std::pair<const char*, double> rates[] = {{"`learning_rate`", options.learning_rate},
                                                  {"`momentum`", options.momentum},
                                                  {"`decay`", options.weight_decay}};
  for (const auto& [flag, value] : rates)
    check_usage(value >= 0 && std::isfinite(value), "{} is {}; it must be finite and at least 0", flag,
                value);
  check_usage(options.label_smoothing >= 0 && static_cast<float>(options.label_smoothing) < 1,
              "a label smoothing of {} is not allowed; give 0 to below 1 (`label_smoothing`)",
              options.label_smoothing);
  check_usage(options.weights.empty() || static_cast<std::int64_t>(options.weights.size()) == rows,
              "there are {} sample weights for {} samples", options.weights.size(), rows);
  for (std::int32_t id : options.subset)
    check(id >= 0 && id < rows, "the subset names sample {}, but the training set has samples 0 to {}", id,
          rows - 1);
}

}  // namespace

std::int32_t crop_padding(std::int32_t height, std::int32_t width) {
  return std::max(4, std::min(height, width) / 16);
}

std::vector<std::int32_t> batch_sizes(std::int64_t samples, std::int32_t batch, std::int32_t accumulate) {
  check_usage(accumulate >= 1 && batch % accumulate == 0,
              "a batch of {} cannot be split into {} equal parts (`batch_size`, `accumulate`)", batch,
              accumulate);
  batch /= accumulate;
  check_usage(batch >= 1, "a batch needs at least 1 sample, not {} (`batch_size`)", batch);
  check_usage(samples >= 1, "there are no samples to train on");
  const auto full = static_cast<std::int32_t>(std::min<std::int64_t>(batch, samples));
  const auto rest = static_cast<std::int32_t>(samples % full);
  if (rest == 0) return {full};
  return {full, rest};
}

std::int64_t steps_per_epoch(std::int64_t samples, std::int32_t batch) {
  return ceil_div(samples, batch);
}

Trainer::Trainer(Device& device, Stream& stream, Net& net, PassPool& pool, const DeviceDataset& set,
                 TrainOptions options, DataParallel* parallel)
    : device_(device),
      stream_(stream),
      net_(net),
      set_(set),
      options_(std::move(options)),
      parallel_(parallel) {
  check_options(options_, set.count());
  ids_ = options_.subset.empty() ? counting_ids(set.count()) : options_.subset;
  if (options_.t_max <= 0) options_.t_max = full_t_max(options_.epochs, samples(), options_.batch);
  plan_steps(pool);
  allocate();
  if (set.source())
    prefetcher_ = std::make_unique<BatchPrefetcher>(device, stream, *set.source(), set.image_bytes(),
                                                    steps_[0].recorded.batch, parallel);
}

// Goes through the steps of an epoch and adds each one that is not known yet.
void Trainer::plan_steps(PassPool& pool) {
  const std::int32_t micro = batch_sizes(samples(), options_.batch, options_.accumulate).front();
  for (std::int64_t cursor = 0; cursor < samples();) {
    const auto group = static_cast<std::int32_t>(std::min<std::int64_t>(options_.batch, samples() - cursor));
    for (std::int32_t done = 0; done < group;) {
      const std::int32_t size = std::min(micro, group - done);
      const bool first = done == 0, last = done + size == group;
      if (!find_step(size, group, first, last)) {
        const BatchSlice slice = slice_of(parallel_, size), full = slice_of(parallel_, micro);
        Pass* const pass = slice.count == 0
                               ? nullptr
                               : &pool.add({.batch = slice.count,
                                            .compute = options_.compute,
                                            .train = true,
                                            .math = options_.math,
                                            .algo = options_.algo,
                                            .full_batch = slice.count < full.count ? full.count : 0,
                                            .whole = parallel_ ? parallel_->whole(size) : WholeBatch{}});
        steps_.push_back({{.pass = pass, .batch = size}, slice, group, first, last});
      }
      done += size;
    }
    cursor += group;
  }
}

Trainer::MicroStep* Trainer::find_step(std::int32_t size, std::int32_t group, bool first, bool last) {
  for (MicroStep& step : steps_)
    if (step.recorded.batch == size && step.group == group && step.first == first && step.last == last)
      return &step;
  return nullptr;
}

void Trainer::allocate() {
  const auto memory = [&](DeviceMemory& to, std::size_t bytes, const char* what) {
    to = DeviceMemory(device_, bytes, what);
    stream_.zero(to.data(), bytes);
    memory_bytes_ += bytes;
  };
  const std::size_t n = set_.count(), classes = net_.classes();
  const std::int64_t steps = steps_per_epoch() * options_.epochs;
  memory(state_, sizeof(StepState), "the step state");
  memory(order_, samples() * sizeof(std::int32_t), "the visiting order");
  memory(lr_table_, steps * sizeof(float), "the learning rates");
  memory(loss_, n * sizeof(float), "losses");
  memory(correct_, n, "hits");
  if (options_.dynamics) {
    memory(kl_, n * sizeof(float), "KL values");
    memory(true_kl_, n * sizeof(float), "signed KL values");
    memory(log_other_, n * sizeof(float), "log-probabilities of the best other class");
    memory(entropy_, n * sizeof(float), "entropies");
    memory(el2n_, n * sizeof(float), "error norms");
    memory(prev_logp_, n * classes * sizeof(float), "the previous visit's log-probabilities");
  }
  if (options_.feature_norm) memory(feature_norm_, n * sizeof(float), "feature norms");
  if (options_.visit_logits) memory(visit_logits_, samples() * classes * sizeof(float), "the epoch's logits");
  if (options_.accumulate > 1) {
    memory(filter_sum_, net_.params().filters().n * sizeof(float), "the sums of the filters' gradients");
    memory(vector_sum_, net_.params().vectors().n * sizeof(float), "the sums of the other gradients");
  }
  if (parallel_) {
    parallel_->allocate(device_, net_, steps_[0].recorded.batch, options_.feature_norm);
    memory_bytes_ += parallel_->bytes();
  }
  const std::vector<float> table = learning_rates(options_.schedule, options_.learning_rate, options_.t_max,
                                                  steps_per_epoch(), options_.epochs);
  stream_.upload(lr_table_.data(), table.data(), table.size() * sizeof(float));
  if (!options_.weights.empty()) {
    memory(weights_, n * sizeof(float), "sample weights");
    memory(batch_weight_, sizeof(float), "the batch weight");
    stream_.upload(weights_.data(), options_.weights.data(), n * sizeof(float));
  }
  stream_.synchronize();
}

std::int64_t Trainer::steps_per_epoch() const {
  return tdds::steps_per_epoch(samples(), options_.batch);
}

void Trainer::start_epoch() {
  stream_.synchronize();  // the upload of the last epoch's order may not have run
  order_host_ = options_.shuffle ? shuffled(ids_, options_.seed, epoch_) : ids_;
  stream_.upload(order_.data(), order_host_.data(), order_host_.size() * sizeof(std::int32_t));
  order_current_ = true;
  if (prefetcher_) prefetcher_->start(order_host_, cursor_);
}

void Trainer::step() {
  check(!done() && cursor_ < samples(), "Trainer::step: the epoch is over");
  if (!order_current_) start_epoch();
  const auto group = static_cast<std::int32_t>(std::min<std::int64_t>(options_.batch, samples() - cursor_));
  for (std::int32_t done = 0; done < group;) {
    const std::int32_t size = std::min(steps_[0].recorded.batch, group - done);
    MicroStep& step = *find_step(size, group, done == 0, done + size == group);
    if (prefetcher_) prefetcher_->feed();
    step.recorded.run(
        stream_, [&] { enqueue_step(step); }, options_.record_steps);
    done += size;
  }
  cursor_ += group;
}

DynamicsView Trainer::dynamics_view() const {
  return {.kl = kl_.get<float>(),
          .true_kl = true_kl_.get<float>(),
          .loss = loss_.get<float>(),
          .log_other = log_other_.get<float>(),
          .entropy = entropy_.get<float>(),
          .el2n = el2n_.get<float>(),
          .correct = correct_.get<std::uint8_t>()};
}

void Trainer::enqueue_step(const MicroStep& micro) {
  if (micro.recorded.pass) enqueue_images(micro);
  if (weights_.data() && micro.first)
    batch_weight(stream_, {.weights = weights_.get<float>(),
                           .order = order_.get<std::int32_t>(),
                           .state = state_.get<StepState>(),
                           .batch_weight = batch_weight_.get<float>(),
                           .batch = micro.group});
  enqueue_passes(micro);
  if (options_.accumulate > 1) enqueue_accumulation(micro.first);
  if (micro.last) {
    if (parallel_ && options_.accumulate > 1) {
      parallel_->add(stream_, filter_sum_.data(), net_.params().filters().n, DType::kF32);
      parallel_->add(stream_, vector_sum_.data(), net_.params().vectors().n, DType::kF32);
    }
    enqueue_optimizer();
  }
  advance(stream_, {.state = state_.get<StepState>(),
                    .order = order_.get<std::int32_t>(),
                    .loss = loss_.get<float>(),
                    .correct = correct_.get<std::uint8_t>(),
                    .batch = micro.recorded.batch,
                    .count_step = micro.last});
}

void Trainer::enqueue_images(const MicroStep& micro) {
  Pass& pass = *micro.recorded.pass;
  AugmentArgs images = set_.augmentation(pass.input(), order_.get<std::int32_t>() + micro.slice.first,
                                         state_.get<StepState>(), prefetcher_.get());
  images.crop = options_.crop;
  images.padding = crop_padding(set_.height(), set_.width());
  images.seed = options_.seed;
  const std::span<std::uint32_t> tickets = pass.tickets();
  images.tickets = tickets.data();
  images.ticket_count = static_cast<std::int64_t>(tickets.size());
  augment(stream_, images);
}

// Forward, loss and dynamics, backward.
void Trainer::enqueue_passes(const MicroStep& micro) {
  const std::int32_t batch = micro.recorded.batch;
  const Pass::Loss loss{.softmax = {.labels = set_.labels(),
                                    .order = order_.get<std::int32_t>(),
                                    .state = state_.get<StepState>(),
                                    .prev_logp = prev_logp_.get<float>(),
                                    .visit_logits = visit_logits_.get<float>(),
                                    .out = dynamics_view(),
                                    .batch_weight = batch_weight_.get<float>(),
                                    .loss_scale = options_.loss_scale * (static_cast<float>(batch) /
                                                                         static_cast<float>(micro.group)),
                                    .smoothing = static_cast<float>(options_.label_smoothing),
                                    .batch = batch,
                                    .classes = net_.classes()},
                        .feature_norm = feature_norm_.get<float>()};
  Pass* const pass = micro.recorded.pass;
  if (pass)
    pass->forward(stream_, parallel_ ? nullptr : &loss);
  else
    parallel_->take_part_in_forward(stream_);
  if (parallel_) parallel_->loss(stream_, pass, loss);
  std::function<void(std::size_t)> reached;
  if (parallel_ && options_.accumulate == 1)
    reached = [&](std::size_t mark) { parallel_->add_reached(stream_, net_.params(), mark); };
  if (pass) return pass->backward(stream_, reached);
  parallel_->take_part_in_backward(stream_);
  for (const Params::Range& range : {net_.params().filters(), net_.params().vectors()})
    stream_.zero(range.gradient, static_cast<std::size_t>(range.n) * element_size(range.compute_type));
  for (std::size_t mark = 0; reached && mark < net_.gradient_marks().size(); ++mark) reached(mark);
  stream_.join();
}

void Trainer::enqueue_accumulation(bool first) {
  const auto add = [&](const Params::Range& range, const DeviceMemory& sum) {
    accumulate(stream_, {.gradient = range.gradient,
                         .sum = sum.get<float>(),
                         .n = range.n,
                         .dtype = range.compute_type,
                         .first = first});
  };
  add(net_.params().filters(), filter_sum_);
  add(net_.params().vectors(), vector_sum_);
}

void Trainer::enqueue_optimizer() {
  auto* state = state_.get<StepState>();
  const Params::Range &filters = net_.params().filters(), &vectors = net_.params().vectors();
  const bool summed = options_.accumulate > 1;
  const void* gradient = summed ? filter_sum_.data() : filters.gradient;
  const auto* vector_gradient = static_cast<const float*>(summed ? vector_sum_.data() : vectors.gradient);
  const DType gradient_type = summed ? DType::kF32 : filters.compute_type;
  if (options_.loss_scale != 1)
    tdds::check_finite(stream_, {.gradient = gradient,
                                 .state = state,
                                 .n = filters.n,
                                 .dtype = gradient_type,
                                 .more = vector_gradient,
                                 .more_n = vectors.n});
  sgd(stream_, {.w = filters.w,
                .v = filters.v,
                .gradient = gradient,
                .compute = filters.compute,
                .lr_table = lr_table_.get<float>(),
                .state = state,
                .n = filters.n,
                .gradient_dtype = gradient_type,
                .compute_dtype = filters.compute_type,
                .momentum = static_cast<float>(options_.momentum),
                .weight_decay = static_cast<float>(options_.weight_decay),
                .inverse_scale = 1 / options_.loss_scale,
                .nesterov = options_.nesterov,
                .more = {.w = vectors.w, .v = vectors.v, .gradient = vector_gradient, .n = vectors.n}});
}

void Trainer::check_finite(const StepState& state) const {
  check(
      std::isfinite(state.loss_sum),
      "the loss is no longer finite (epoch {}, step {}): train with a lower `learning_rate`; the files saved "
      "before are unchanged",
      epoch_, state.step);
}

void Trainer::check_some_step_counted(const StepState& state) const {
  const std::int64_t steps = state.step - steps_before_, skipped = state.skipped - skipped_before_;
  check(skipped < steps || steps == 0,
        "all {} steps of epoch {} were skipped, because their gradients, scaled by {} for fp16, are not "
        "finite: train with a lower `learning_rate`, or with `precision` bf16 or fp32; the files saved "
        "before are unchanged",
        steps, epoch_, options_.loss_scale);
}

StepState Trainer::download_state() {
  StepState state;
  stream_.download(&state, state_.data(), sizeof(state));
  stream_.synchronize();
  return state;
}

StepState Trainer::read_state() {
  const StepState state = download_state();
  check_finite(state);
  return state;
}

EpochRecord Trainer::end_epoch() {
  check(cursor_ == samples(), "Trainer::end_epoch: {} of {} samples were visited", cursor_, samples());
  const StepState state = read_state();
  check_some_step_counted(state);
  EpochRecord record;
  record.loss = state.loss_sum / static_cast<double>(samples());
  record.accuracy = static_cast<double>(state.correct) / static_cast<double>(samples());
  record.skipped_steps = state.skipped;
  const auto take = [&](auto& to, const DeviceMemory& from) {
    to.resize(from.bytes() / sizeof(to[0]));
    if (from.data()) stream_.download(to.data(), from.data(), from.bytes());
  };
  take(record.values.loss, loss_);
  take(record.values.correct, correct_);
  take(record.values.kl, kl_);
  take(record.values.true_kl, true_kl_);
  take(record.values.log_other, log_other_);
  take(record.values.entropy, entropy_);
  take(record.values.el2n, el2n_);
  take(record.values.feature_norm, feature_norm_);
  take(record.visit_logits, visit_logits_);
  steps_before_ = state.step;
  skipped_before_ = state.skipped;
  StepState next = state;
  next.cursor = 0;
  next.epoch = epoch_ + 1;
  next.loss_sum = 0;
  next.correct = 0;
  stream_.upload(state_.data(), &next, sizeof(next));
  stream_.synchronize();
  record.order = std::move(order_host_);
  ++epoch_;
  cursor_ = 0;
  order_current_ = false;
  return record;
}

std::vector<StateArray> Trainer::state_arrays() const {
  const std::int64_t n = set_.count(), classes = net_.classes();
  std::vector<StateArray> arrays{{"state", DType::kU8, {sizeof(StepState)}, state_.data()},
                                 {"loss", DType::kF32, {n}, loss_.data()},
                                 {"correct", DType::kU8, {n}, correct_.data()}};
  if (options_.dynamics) {
    arrays.push_back({"kl", DType::kF32, {n}, kl_.data()});
    arrays.push_back({"true_kl", DType::kF32, {n}, true_kl_.data()});
    arrays.push_back({"log_other", DType::kF32, {n}, log_other_.data()});
    arrays.push_back({"entropy", DType::kF32, {n}, entropy_.data()});
    arrays.push_back({"el2n", DType::kF32, {n}, el2n_.data()});
    arrays.push_back({"prev_logp", DType::kF32, {n, classes}, prev_logp_.data()});
  }
  if (options_.feature_norm) arrays.push_back({"feature_norm", DType::kF32, {n}, feature_norm_.data()});
  if (options_.visit_logits)
    arrays.push_back({"visit_logits", DType::kF32, {samples(), classes}, visit_logits_.data()});
  return arrays;
}

void Trainer::restored() {
  const StepState state = download_state();
  check(std::isfinite(state.loss_sum),
        "the checkpoint's sum of losses is {}, but a finite one is needed: the file is damaged; use another "
        "copy",
        state.loss_sum);
  check(state.epoch >= 0 && state.epoch <= options_.epochs && state.cursor >= 0 &&
            state.cursor <= samples() && (state.cursor % options_.batch == 0 || state.cursor == samples()),
        "the checkpoint is at epoch {}, sample {}, which this run of {} epochs of {} samples never reaches; "
        "resume it with as many `epochs` as it was begun with, or more",
        state.epoch, state.cursor, options_.epochs, samples());
  epoch_ = state.epoch;
  cursor_ = state.cursor;
  steps_before_ = state.step;
  skipped_before_ = state.skipped;
  start_epoch();
}

std::size_t Trainer::commands() const {
  const auto& recording = steps_[0].recorded.recording;
  return recording ? recording->commands() : 0;
}

std::vector<ConvolutionPlan> Trainer::plans() const {
  return steps_[0].recorded.pass->plans();
}

}  // namespace tdds
