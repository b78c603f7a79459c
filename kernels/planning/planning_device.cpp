#include "kernels/planning_device.h"

#include <cstring>

#include "kernels/ops.h"

namespace tdds {
namespace {

constexpr std::size_t kAlignment = 4096;

class NoRecording final : public Recording {
 public:
  std::size_t commands() const override { return 0; }
};

class PlanningStream final : public Stream {
 public:
  using Stream::Stream;

  void upload(void*, const void*, std::size_t) override {}
  void download(void* host, const void*, std::size_t bytes) override { std::memset(host, 0, bytes); }
  void copy(void*, const void*, std::size_t bytes) override { count(2.0 * static_cast<double>(bytes)); }
  void zero(void*, std::size_t bytes) override { count(static_cast<double>(bytes)); }
  std::unique_ptr<Recording> record(const std::function<void()>& body) override {
    body();
    return std::make_unique<NoRecording>();
  }
  void replay(const Recording&) override {}
  void synchronize() override {}

 private:
  void count(double bytes) { static_cast<PlanningDevice&>(device()).work().bytes += bytes; }
};

Work& work_of(Stream& stream) {
  return static_cast<PlanningDevice&>(stream.device()).work();
}

// `n` elements of a type, as bytes.
double bytes_of(DType dtype, double n) {
  return n * static_cast<double>(size_of(dtype));
}
constexpr double kF32Bytes = sizeof(float);

class PlannedConv2d final : public Conv2d {
 public:
  explicit PlannedConv2d(std::unique_ptr<Conv2d> plan) : Conv2d(plan->spec()), plan_(std::move(plan)) {}

  std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  std::string description() const override { return plan_->description(); }
  double multiplied_share() const override { return plan_->multiplied_share(); }
  void forward(Stream& stream, const void*, const void*, void*, void*) override {
    count(stream, x() + w() + y());
  }
  void backward_data(Stream& stream, const void*, const void*, void*, bool accumulate, void*) override {
    count(stream, x() * (accumulate ? 2 : 1) + w() + y());
  }
  void backward_filter(Stream& stream, const void*, const void*, void*, void*) override {
    count(stream, x() + w() + y());
  }

 private:
  double x() const {
    const Conv2dSpec& s = spec();
    return 1.0 * s.batch * s.height * s.width * s.channels;
  }
  double w() const {
    const Conv2dSpec& s = spec();
    return 1.0 * s.out_channels * s.filter_h * s.filter_w * s.channels;
  }
  double y() const {
    const Conv2dSpec& s = spec();
    return 1.0 * s.batch * s.out_height() * s.out_width() * s.out_channels;
  }
  void count(Stream& stream, double elements) const {
    const Conv2dSpec& s = spec();
    work_of(stream).bytes += bytes_of(s.dtype, elements);
    work_of(stream).conv_flops += 2 * y() * s.filter_h * s.filter_w * s.channels * multiplied_share();
  }

  std::unique_ptr<Conv2d> plan_;
};

class PlannedLinear final : public Linear {
 public:
  using Linear::Linear;

  void forward(Stream& stream, const float*, const float*, const float*, float*) override {
    const auto [b, i, o] = sizes();
    work_of(stream).bytes += kF32Bytes * (b * i + i * o + o + b * o);
    work_of(stream).fp32_flops += 2 * b * i * o;
  }
  void backward(Stream& stream, const float*, const float*, const float*, float*, float*, float*) override {
    const auto [b, i, o] = sizes();
    work_of(stream).bytes += kF32Bytes * 2 * (b * i + i * o + b * o) + kF32Bytes * o;
    work_of(stream).fp32_flops += 4 * b * i * o;
  }

 private:
  struct Sizes {
    double batch, in, out;
  };
  Sizes sizes() const { return {1.0 * spec().batch, 1.0 * spec().in_features, 1.0 * spec().out_features}; }
};

Device& plans_of(Device& device) {
  return static_cast<PlanningDevice&>(device).plans();
}
std::unique_ptr<Conv2d> make_conv2d(Device& device, const Conv2dSpec& spec) {
  Device& plans = plans_of(device);
  return std::make_unique<PlannedConv2d>(plans.ops().make_conv2d(plans, spec));
}
std::unique_ptr<Linear> make_linear(Device&, const LinearSpec& spec) {
  return std::make_unique<PlannedLinear>(spec);
}

void augment(Stream& stream, const AugmentArgs& a) {
  const double pixels = 1.0 * a.batch * a.out_height * a.out_width;
  work_of(stream).bytes += 3 * pixels + bytes_of(a.dtype, pixels * a.channels_out);
}
void batchnorm_forward(Stream& stream, const BatchNormForwardArgs& a) {
  work_of(stream).bytes +=
      bytes_of(a.dtype, (a.residual ? 3.0 : 2.0) * static_cast<double>(a.rows) * a.channels);
}
void batchnorm_backward(Stream& stream, const BatchNormBackwardArgs& a) {
  const double operands = 3 + (a.relu ? 1 : 0) + (a.dresidual ? 1 : 0);
  work_of(stream).bytes += bytes_of(a.dtype, operands * static_cast<double>(a.rows) * a.channels);
}
void batchnorm_inference(Stream& stream, const BatchNormInferenceArgs& a) {
  work_of(stream).bytes +=
      bytes_of(a.dtype, (a.residual ? 3.0 : 2.0) * static_cast<double>(a.rows) * a.channels);
}
void add(Stream& stream, const AddArgs& a) {
  work_of(stream).bytes += bytes_of(a.dtype, 3.0 * static_cast<double>(a.n));
}
void relu(Stream& stream, const ReluArgs& a) {
  work_of(stream).bytes += bytes_of(a.dtype, 2.0 * static_cast<double>(a.n));
}
void relu_backward(Stream& stream, const ReluBackwardArgs& a) {
  work_of(stream).bytes += bytes_of(a.dtype, 3.0 * static_cast<double>(a.n));
}
void global_avg_pool(Stream& stream, const GlobalAvgPoolArgs& a) {
  work_of(stream).bytes +=
      bytes_of(a.dtype, 1.0 * a.batch * a.positions * a.channels) + kF32Bytes * a.batch * a.channels;
}
void global_avg_pool_backward(Stream& stream, const GlobalAvgPoolBackwardArgs& a) {
  work_of(stream).bytes +=
      bytes_of(a.dtype, 1.0 * a.batch * a.positions * a.channels) + kF32Bytes * a.batch * a.channels;
}
double inputs_of(const MaxPoolShape& s) {
  return 1.0 * s.batch * s.height * s.width * s.channels;
}
void max_pool(Stream& stream, const MaxPoolArgs& a) {
  const auto outputs = static_cast<double>(a.shape.outputs());
  work_of(stream).bytes += bytes_of(a.shape.dtype, inputs_of(a.shape) + outputs) + (a.argmax ? outputs : 0);
}
void max_pool_backward(Stream& stream, const MaxPoolBackwardArgs& a) {
  const auto outputs = static_cast<double>(a.shape.outputs());
  work_of(stream).bytes += bytes_of(a.shape.dtype, inputs_of(a.shape) + outputs) + outputs;
}
void feature_norm(Stream& stream, const FeatureNormArgs& a) {
  work_of(stream).bytes += kF32Bytes * a.batch * (a.width + 1.0);
}
void softmax_kl(Stream& stream, const SoftmaxKlArgs& a) {
  double arrays = 1 + (a.dlogits ? 1 : 0) + (a.prev_logp ? 2 : 0) + (a.visit_logits ? 1 : 0);
  arrays *= 1.0 * a.batch * a.classes;
  for (const float* out : {a.out.kl, a.out.true_kl, a.out.loss, a.out.log_other, a.out.entropy, a.out.el2n})
    if (out) arrays += a.batch;
  work_of(stream).bytes += kF32Bytes * arrays;
}
void batch_weight(Stream& stream, const BatchWeightArgs& a) {
  work_of(stream).bytes += kF32Bytes * a.batch;
}
void accumulate(Stream& stream, const AccumulateArgs& a) {
  const auto n = static_cast<double>(a.n);
  work_of(stream).bytes += bytes_of(a.dtype, n) + (a.first ? 1 : 2) * kF32Bytes * n;
}
void check_finite(Stream& stream, const CheckFiniteArgs& a) {
  work_of(stream).bytes += bytes_of(a.dtype, static_cast<double>(a.n));
}
void sgd(Stream& stream, const SgdArgs& a) {
  const auto n = static_cast<double>(a.n);
  work_of(stream).bytes +=
      4 * kF32Bytes * n + bytes_of(a.gradient_dtype, n) + (a.compute ? bytes_of(a.compute_dtype, n) : 0);
}
void advance(Stream& stream, const AdvanceArgs& a) {
  work_of(stream).bytes += (kF32Bytes + 1) * a.batch;
}
void window_score(Stream& stream, const WindowScoreArgs& a) {
  work_of(stream).bytes += kF32Bytes * static_cast<double>(a.samples) * a.trajectory_len;
}
std::size_t sort_workspace_bytes(std::int64_t) {
  return 0;
}
void sort_by_score(Stream& stream, const SortArgs& a) {
  work_of(stream).bytes += 4 * kF32Bytes * static_cast<double>(a.n);
}

constexpr Ops kOps{
    .augment = augment,
    .make_conv2d = make_conv2d,
    .batchnorm_forward = batchnorm_forward,
    .batchnorm_backward = batchnorm_backward,
    .batchnorm_inference = batchnorm_inference,
    .add = add,
    .relu = relu,
    .relu_backward = relu_backward,
    .global_avg_pool = global_avg_pool,
    .global_avg_pool_backward = global_avg_pool_backward,
    .max_pool = max_pool,
    .max_pool_backward = max_pool_backward,
    .make_linear = make_linear,
    .feature_norm = feature_norm,
    .softmax_kl = softmax_kl,
    .batch_weight = batch_weight,
    .accumulate = accumulate,
    .check_finite = check_finite,
    .sgd = sgd,
    .advance = advance,
    .window_score = window_score,
    .sort_workspace_bytes = sort_workspace_bytes,
    .sort_by_score = sort_by_score,
};

}  // namespace

PlanningDevice::PlanningDevice(Device& plans)
    : Device(plans.kind(), kOps), plans_(plans), next_(kAlignment) {}

std::size_t PlanningDevice::allocated_bytes() const {
  std::size_t sum = 0;
  for (const Allocation& one : allocated_) sum += one.bytes;
  return sum;
}

void* PlanningDevice::allocate(std::size_t bytes, std::string_view what) {
  allocated_.push_back({std::string(what), bytes});
  void* address = reinterpret_cast<void*>(next_);  // NOLINT(performance-no-int-to-ptr): never followed
  next_ += (bytes / kAlignment + 1) * kAlignment;
  return address;
}

std::unique_ptr<Stream> PlanningDevice::make_stream(StreamMode) {
  return std::make_unique<PlanningStream>(*this);
}

}  // namespace tdds
