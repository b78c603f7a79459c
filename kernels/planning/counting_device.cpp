#include "kernels/planning/counting_device.h"

#include <algorithm>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/dispatch.h"
#include "kernels/ops/linear.h"

namespace tdds {
namespace {

class CountedConv2d final : public Conv2d {
 public:
  explicit CountedConv2d(std::unique_ptr<Conv2d> plan) : Conv2d(plan->spec()), plan_(std::move(plan)) {}

  std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  std::size_t filter_workspace_bytes() const override { return plan_->filter_workspace_bytes(); }
  std::vector<ServedDirection> served() const override { return plan_->served(); }
  double flop_fraction() const override { return plan_->flop_fraction(); }
  void forward(Stream& stream, const void* x, const void* w, void* y, void* workspace) override {
    count(stream, "conv2d_forward", ConvDirection::kForward, n_x() + n_w() + n_y(),
          [=, this](Stream& other) { plan_->forward(other, x, w, y, workspace); });
  }
  void backward_data(Stream& stream, const void* dy, const void* w, void* dx, bool accumulate,
                     void* workspace) override {
    count(stream, accumulate ? "conv2d_backward_data_add" : "conv2d_backward_data",
          accumulate ? ConvDirection::kDataAccumulate : ConvDirection::kData,
          n_x() * (accumulate ? 2 : 1) + n_w() + n_y(),
          [=, this](Stream& other) { plan_->backward_data(other, dy, w, dx, accumulate, workspace); });
  }
  void backward_filter(Stream& stream, const void* x, const void* dy, void* dw, void* workspace) override {
    count(stream, "conv2d_backward_filter", ConvDirection::kFilter, n_x() + n_w() + n_y(),
          [=, this](Stream& other) { plan_->backward_filter(other, x, dy, dw, workspace); });
  }
  std::int64_t moment_rows() const override { return plan_->moment_rows(); }
  std::int64_t gradient_rows(bool accumulate) const override { return plan_->gradient_rows(accumulate); }
  void forward_with_moments(Stream& stream, const void* x, const void* w, void* y,
                            const BatchNormMemory& memory) override {
    count(stream, "conv2d_forward_moments", ConvDirection::kForward, n_x() + n_w() + n_y(),
          [=, this](Stream& other) { plan_->forward_with_moments(other, x, w, y, memory); });
  }
  void backward_data_to_norm(Stream& stream, const void* dy, const void* w, const void* add, void* g,
                             const BatchNormGradient& norm) override {
    // The mask is a sixteenth of x.
    count(stream, add ? "conv2d_backward_norm_add" : "conv2d_backward_norm",
          add ? ConvDirection::kDataAccumulate : ConvDirection::kData,
          n_x() * ((add ? 3 : 2) + (norm.mask ? 0.0625 : 0)) + n_w() + n_y(),
          [=, this](Stream& other) { plan_->backward_data_to_norm(other, dy, w, add, g, norm); });
  }

 private:
  // Elements of the operands.
  double n_x() const {
    const Conv2dSpec& s = spec();
    return 1.0 * s.batch * s.height * s.width * s.channels;
  }
  double n_w() const {
    const Conv2dSpec& s = spec();
    return 1.0 * s.out_channels * s.filter_h * s.filter_w * s.channels;
  }
  double n_y() const {
    const Conv2dSpec& s = spec();
    return 1.0 * s.batch * s.out_height() * s.out_width() * s.out_channels;
  }
  void count(Stream& stream, const char* name, ConvDirection direction, double elements,
             std::function<void(Stream&)> run) const {
    const Conv2dSpec& s = spec();
    count_op(stream,
             {.name = name,
              .bytes = bytes_of(s.dtype, elements),
              .conv_flops = 2 * n_y() * s.filter_h * s.filter_w * s.channels * flop_fraction(),
              .largest = bytes_of(s.dtype, std::max({n_x(), n_w(), n_y()})),
              .args = Conv2dCall{s, direction}},
             std::move(run));
  }

  std::unique_ptr<Conv2d> plan_;
};

class CountedLinear final : public Linear {
 public:
  CountedLinear(Device& plans, const LinearSpec& spec) : Linear(spec), plans_(plans) {}

  void forward(Stream& stream, const float* x, const float* w, const float* bias, float* y) override {
    const auto [b, i, o] = sizes();
    count_op(stream,
             {.name = "linear_forward",
              .bytes = bytes_of(DType::kF32, b * i + i * o + o + b * o),
              .fp32_flops = 2 * b * i * o,
              .args = spec()},
             [=, this](Stream& other) { plan().forward(other, x, w, bias, y); });
  }
  void backward(Stream& stream, const float* x, const float* w, const float* dy, float* dx, float* dw,
                float* db) override {
    const auto [b, i, o] = sizes();
    count_op(stream,
             {.name = "linear_backward",
              .bytes = bytes_of(DType::kF32, 2 * (b * i + i * o + b * o) + o),
              .fp32_flops = 4 * b * i * o,
              .args = spec()},
             [=, this](Stream& other) { plan().backward(other, x, w, dy, dx, dw, db); });
  }

 private:
  struct Sizes {
    double batch, in, out;
  };
  Sizes sizes() const { return {1.0 * spec().batch, 1.0 * spec().in_features, 1.0 * spec().out_features}; }
  // Made when it is first run: a device that only plans has none.
  Linear& plan() {
    if (!plan_) plan_ = make_linear(plans_, spec());
    return *plan_;
  }

  Device& plans_;
  std::unique_ptr<Linear> plan_;
};

Device& plans_of(Device& device) {
  return static_cast<CountingDevice&>(device).plans();
}
std::unique_ptr<Conv2d> count_conv2d(Device& device, const Conv2dSpec& spec) {
  return std::make_unique<CountedConv2d>(make_conv2d(plans_of(device), spec));
}
std::unique_ptr<Linear> count_linear(Device& device, const LinearSpec& spec) {
  return std::make_unique<CountedLinear>(plans_of(device), spec);
}

constexpr Ops kOps{Kernels::kCounted, count_conv2d, count_linear};

}  // namespace

CountingDevice::CountingDevice(Device& plans) : Device(plans.kind(), kOps), plans_(plans) {}

void count_op(Stream& stream, const OpWork& work, std::function<void(Stream&)> run) {
  static_cast<CountingDevice&>(stream.device()).op(stream, work, std::move(run));
}

}  // namespace tdds
