#pragma once
// Trains a network as PyTorch did for a fixture, in one process or as one of several ranks, and compares it
// with PyTorch in float64. tests/golden/make_goldens.py describes the fixtures.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "engine/data_parallel.h"
#include "kernels/ops/advance.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "nets/resnet.h"
#include "tests/golden/golden.h"

namespace tdds::test {

inline constexpr float kLr = 0.01f, kMomentum = 0.9f, kWeightDecay = 5e-4f;

// The distance of a tensor from float64 may be 3 times that of PyTorch's own float32. Where that is almost
// zero, the bound is the rounding error of a network without flipped ReLUs: 1e-5 for gradients and logits;
// 1e-6 for losses and for the state after a step, which changes by a hundredth of the gradient. (Weight decay
// changes a weight by 1e-5.) Winograd's transforms lose digits (a sum is accurate to 5e-6, a direct one to
// 1e-6), but not more than the networks themselves: with AVX-512, AVX2 and plain C++, and oneDNN 2.6 and 3.7,
// the largest factor seen is 2.5 (a loss of the narrow ResNet-50). The tests print it.
inline constexpr double kYardsticks = 3;
inline constexpr double kTensor = 1e-5, kState = 1e-6, kLoss = 1e-6;
// The error of a mean is half an ulp of fp32 relative to the spread of the values, not to the mean itself.
// (The stem's mean is a hundredth of its spread.)
inline constexpr double kMean = 0x1p-24;

// In fp32. The ranks of `parallel` share the fixture's batch, of which some may have nothing.
class GoldenTraining {
 public:
  static constexpr std::size_t kMostSteps = 16;

  GoldenTraining(Device& device, Stream& stream, const char* fixture, const ResNetSpec& spec, ConvAlgo algo,
                 DataParallel* parallel = nullptr)
      : device_(device),
        stream_(stream),
        golden_(fixture),
        fixture_(fixture),
        spec_(spec),
        algo_(algo),
        parallel_(parallel),
        images_(static_cast<std::int32_t>(golden_.shape("input")[0])),
        slice_(parallel ? parallel->slice(images_) : BatchSlice{0, images_}),
        net_(make_resnet(spec)) {
    params().place(device, stream, DType::kF32);
    if (parallel) parallel->allocate(device, *net_, images_ * parallel->ranks().size(), false);
    if (slice_.count > 0)
      train_ = net_->make_pass(device, {.batch = slice_.count,
                                        .train = true,
                                        .algo = algo,
                                        .whole = parallel ? parallel->whole(images_) : WholeBatch{}});
    eval_ = net_->make_pass(device, {.batch = images_, .train = false, .algo = algo});
    bind();
    for (Arena* arena : {&saved_, &scratch_, &tickets_}) arena->place(device);
    bind();
    lr_ = upload(std::vector<float>(kMostSteps, kLr));
    state_ = upload(std::vector{StepState{}});
    loss_ = upload(std::vector<float>(static_cast<std::size_t>(images_)));
    correct_ = upload(std::vector<std::uint8_t>(static_cast<std::size_t>(images_)));
    visits_ = upload(std::vector<float>(kMostSteps * logit_count()));
    upload_weights();
  }

  // Compares the steps of the fixture, the first one in detail.
  void compare(std::size_t steps = kMostSteps) {
    expect_inputs();
    auto losses = golden_.floats("loss");
    losses.resize(std::min(losses.size(), steps));
    auto yardstick = golden_.floats("loss.yardstick");
    // The loss of a step depends on the errors of earlier steps, so its bound is at least theirs.
    for (std::size_t step = 1; step < yardstick.size(); ++step)
      yardstick[step] = std::max(yardstick[step], yardstick[step - 1]);
    for (std::size_t step = 0; step < losses.size(); ++step) {
      const double loss = gradients(static_cast<std::int64_t>(step));
      expect_within(std::abs(loss - losses[step]), yardstick[step], kLoss * losses[step],
                    "loss of step " + std::to_string(step));
      if (step == 0) {
        expect_within(distance(download<float>(visits_.data(), logit_count()), golden_.floats("logits")), 0,
                      kTensor, "logits");
        expect_tensors("grad", "gradient");
      }
      update();
      if (step == 0) {
        expect_tensors("step1", "weight");
        if (train_) expect_tensor("eval_logits", inference(0), 0);
      }
    }
    for (const Param& param : params().list())
      if (param.kind == ParamKind::kCounter && train_)
        expect_counter(param, static_cast<std::int64_t>(losses.size()));
    if (!parallel_ || parallel_->ranks().first()) print_farthest();
  }

 private:
  Params& params() { return net_->params(); }

  void bind() {
    if (train_) train_->bind(saved_, scratch_, tickets_);
    eval_->bind(saved_, scratch_, tickets_);
  }

  template <class T>
  DeviceMemory upload(const std::vector<T>& values) {
    DeviceMemory memory(device_, values.size() * sizeof(T), "a test buffer");
    stream_.upload(memory.data(), values.data(), memory.bytes());
    stream_.synchronize();
    return memory;
  }
  // Runs what is queued, then reads.
  template <class T>
  std::vector<T> download(const void* memory, std::size_t n) {
    std::vector<T> values(n);
    stream_.download(values.data(), memory, n * sizeof(T));
    stream_.synchronize();
    return values;
  }

  void upload_weights() {
    const std::string last_norm = spec_.arch == "resnet18" ? "bn2" : "bn3";
    std::uint32_t place = 0;
    for (std::size_t i = 0; i < params().list().size(); ++i) {
      const Param& param = params().list()[i];
      place_.push_back(place);
      if (param.kind == ParamKind::kCounter) continue;
      std::vector<float> values(param.elements(), param.constant);
      if (param.kind != ParamKind::kRunning) values = counter::weights(param, place++, last_norm);
      params().upload(stream_, static_cast<int>(i), std::as_bytes(std::span(values)));
    }
  }

  std::int64_t batch_number(std::int64_t step) const { return golden_.ints("first_batch")[0] + step; }
  std::size_t logit_count() const { return std::size_t(images_) * spec_.classes; }
  std::size_t input_elements() const {
    return std::size_t(images_) * 3 * spec_.image_size * spec_.image_size;
  }
  std::vector<std::int32_t> labels(std::int64_t step) const {
    return counter::labels(batch_number(step), images_, static_cast<std::uint32_t>(spec_.classes));
  }

  // Both sides compute the inputs by formula and get the same bits.
  void expect_inputs() {
    EXPECT_EQ(counter::input(batch_number(0), input_elements()), golden_.floats("input"));
    const auto wide = golden_.ints("label");
    EXPECT_EQ(labels(0), std::vector<std::int32_t>(wide.begin(), wide.end()));
  }

  // The images of a slice of the batch.
  void feed(const Pass& pass, std::int64_t step, const BatchSlice& slice) {
    const std::vector<std::int64_t> shape{images_, 3, spec_.image_size, spec_.image_size};
    const auto values = channels_last(counter::input(batch_number(step), input_elements()), shape);
    const std::size_t image = input_elements() / static_cast<std::size_t>(images_);
    stream_.upload(pass.input().data, values.data() + static_cast<std::size_t>(slice.first) * image,
                   static_cast<std::size_t>(slice.count) * image * sizeof(float));
    stream_.synchronize();
  }

  // The order up to and including this step: the images of each batch have the ids 0 .. images-1.
  std::vector<std::int32_t> ids(std::int64_t step) const {
    std::vector<std::int32_t> order(static_cast<std::size_t>(images_ * (step + 1)));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i % images_);
    return order;
  }

  // Forward, loss, backward and, with ranks, the sum of their gradients; the mean loss.
  double gradients(std::int64_t step) {
    labels_ = upload(labels(step));
    order_ = upload(ids(step));
    if (train_) {
      feed(*train_, step, slice_);
      stream_.zero(train_->tickets().data(), train_->tickets().size_bytes());
    }
    Pass::Loss loss{.softmax = {.labels = labels_.get<std::int32_t>(),
                                .order = order_.get<std::int32_t>(),
                                .state = state_.get<StepState>(),
                                .prev_logp = nullptr,
                                .visit_logits = visits_.get<float>(),
                                .out = {.loss = loss_.get<float>(), .correct = correct_.get<std::uint8_t>()},
                                .batch_weight = nullptr,
                                .loss_scale = 1,
                                .batch = images_,
                                .classes = spec_.classes}};
    if (parallel_)
      pass_of_rank(loss);
    else
      pass_of_one(loss.softmax);
    const auto losses = download<float>(loss_.data(), static_cast<std::size_t>(images_));
    return std::accumulate(losses.begin(), losses.end(), 0.0) / images_;
  }

  void pass_of_one(SoftmaxKlArgs& loss) {
    train_->forward(stream_);
    loss.logits = train_->logits();
    loss.dlogits = train_->dlogits();
    softmax_kl(stream_, loss);
    train_->backward(stream_);
  }

  void pass_of_rank(const Pass::Loss& loss) {
    if (train_)
      train_->forward(stream_);
    else
      parallel_->take_part_in_forward(stream_);
    parallel_->loss(stream_, train_.get(), loss);
    if (train_)
      train_->backward(stream_);
    else
      parallel_->take_part_in_backward(stream_);
    for (const Params::Range* range : {&params().filters(), &params().vectors()}) {
      if (!train_) stream_.zero(range->gradient, static_cast<std::size_t>(range->n) * sizeof(float));
      parallel_->add(stream_, range->gradient, range->n, DType::kF32);
    }
  }

  void update() {
    for (const Params::Range* range : {&params().filters(), &params().vectors()})
      sgd(stream_, {.w = range->w,
                    .v = range->v,
                    .gradient = range->gradient,
                    .compute = range->compute,
                    .lr_table = lr_.get<float>(),
                    .state = state_.get<StepState>(),
                    .n = range->n,
                    .gradient_dtype = DType::kF32,
                    .compute_dtype = DType::kF32,
                    .momentum = kMomentum,
                    .weight_decay = kWeightDecay,
                    .inverse_scale = 1,
                    .nesterov = true});
    advance(stream_, {.state = state_.get<StepState>(),
                      .order = order_.get<std::int32_t>(),
                      .loss = loss_.get<float>(),
                      .correct = correct_.get<std::uint8_t>(),
                      .batch = images_,
                      .count_step = true});
    stream_.synchronize();
  }

  std::vector<float> inference(std::int64_t step) {
    feed(*eval_, step, {0, images_});
    eval_->forward(stream_);
    return download<float>(eval_->logits(), logit_count());
  }

  // Every tensor of a kind ("grad", "step1") against the fixture. A rank without images has no running
  // statistics of its own.
  void expect_tensors(const std::string& kind, const char* which) {
    for (std::size_t i = 0; i < params().list().size(); ++i) {
      const Param& param = params().list()[i];
      if (param.kind == ParamKind::kCounter) continue;
      if (param.kind == ParamKind::kRunning && (kind == "grad" || !train_)) continue;
      const auto bytes = params().download(stream_, static_cast<int>(i), which);
      std::vector<float> values(bytes.size() / sizeof(float));
      std::memcpy(values.data(), bytes.data(), bytes.size());
      expect_tensor(kind + "." + param.name, values, place_[i]);
    }
  }

  void expect_tensor(std::string name, std::vector<float> values, std::uint32_t place) {
    const bool whole = golden_.contains(name);
    if (!whole) {
      name += ".summary";
      values = counter::summary(values, place);
    }
    const auto golden = golden_.floats(name), yardstick = golden_.floats(name + ".yardstick");
    const auto distances =
        whole ? std::vector<double>{distance(values, golden)} : counter::summary_distance(values, golden);
    ASSERT_EQ(distances.size(), yardstick.size()) << name;
    const double rounding =
        std::max(name.starts_with("step1.") ? kState : kTensor, whole ? mean_tolerance(name) : 0.0);
    for (std::size_t j = 0; j < distances.size(); ++j)
      expect_within(distances[j], yardstick[j], rounding, name + ", part " + std::to_string(j));
  }

  // Expects the distance to be within kYardsticks yardsticks or within the rounding error.
  void expect_within(double distance, double yardstick, double rounding, const std::string& what) {
    EXPECT_LE(distance, std::max(kYardsticks * yardstick, rounding)) << what;
    Farthest& kind = farthest_[what.substr(0, what.find_first_of(". ,"))];
    kind.of_rounding = std::max(kind.of_rounding, distance / rounding);
    if (distance > rounding) kind.yardsticks = std::max(kind.yardsticks, distance / yardstick);
  }
  void print_farthest() const {
    const char* way = algo_ == ConvAlgo::kAuto       ? "auto"
                      : algo_ == ConvAlgo::kWinograd ? "winograd"
                                                     : "direct";
    for (const auto& [kind, most] : farthest_)
      std::printf("%s, %s, %s: up to %.2f of the rounding error, beyond it %.2f yardsticks\n",
                  fixture_.c_str(), way, kind.c_str(), most.of_rounding, most.yardsticks);
  }

  // The tolerance of a running mean after the first step (0.1 of the batch's mean), relative to its norm.
  double mean_tolerance(const std::string& name) const {
    const std::size_t at = name.rfind("running_mean");
    if (at == std::string::npos) return 0;
    double spread = 0, mean = 0;
    for (const float variance : golden_.floats(name.substr(0, at) + "running_var"))
      spread += 0.1 * std::max(0.0f, variance - 0.9f);  // (0.1 std)^2
    for (const float value : golden_.floats(name)) mean += double{value} * value;
    return kMean * std::sqrt(spread / mean);
  }

  void expect_counter(const Param& param, std::int64_t batches) {
    const auto index = &param - params().list().data();
    std::int64_t value = 0;
    std::memcpy(&value, params().download(stream_, static_cast<int>(index)).data(), sizeof value);
    EXPECT_EQ(value, batches) << param.name;
  }

  Device& device_;
  Stream& stream_;
  Golden golden_;
  std::string fixture_;
  ResNetSpec spec_;
  ConvAlgo algo_;
  DataParallel* parallel_;  // null: one process
  std::int32_t images_;
  BatchSlice slice_;  // of them, for this rank
  std::unique_ptr<Net> net_;
  std::unique_ptr<Pass> train_, eval_;  // the first is null where the slice is empty
  Arena saved_{"saved"}, scratch_{"scratch"}, tickets_{"tickets"};
  DeviceMemory lr_, loss_, correct_, visits_, labels_, order_, state_;
  // By kind of quantity ("grad"): the largest distances of its tensors.
  struct Farthest {
    double of_rounding = 0, yardsticks = 0;
  };
  std::map<std::string, Farthest> farthest_;
  std::vector<std::uint32_t> place_;  // by parameter or buffer: the number of trained parameters before it
};

}  // namespace tdds::test
