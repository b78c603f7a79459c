#include "kernels/planning/planning_device.h"

#include <algorithm>
#include <cstring>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/dispatch.h"
#include "kernels/ops/linear.h"

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

constexpr double kF32Bytes = sizeof(float);

class PlannedConv2d final : public Conv2d {
 public:
  explicit PlannedConv2d(std::unique_ptr<Conv2d> plan) : Conv2d(plan->spec()), plan_(std::move(plan)) {}

  std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  std::vector<ServedDirection> served() const override { return plan_->served(); }
  double flop_fraction() const override { return plan_->flop_fraction(); }
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
    Work& work = work_of(stream);
    work.bytes += bytes_of(s.dtype, elements);
    work.largest = std::max(work.largest, bytes_of(s.dtype, std::max({x(), w(), y()})));
    work.conv_flops += 2 * y() * s.filter_h * s.filter_w * s.channels * flop_fraction();
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
std::unique_ptr<Conv2d> plan_conv2d(Device& device, const Conv2dSpec& spec) {
  return std::make_unique<PlannedConv2d>(make_conv2d(plans_of(device), spec));
}
std::unique_ptr<Linear> plan_linear(Device&, const LinearSpec& spec) {
  return std::make_unique<PlannedLinear>(spec);
}

constexpr Ops kOps{Kernels::kCounted, plan_conv2d, plan_linear};

}  // namespace

void count_bytes(Stream& stream, double bytes) {
  work_of(stream).bytes += bytes;
}

void count_fp32_flops(Stream& stream, double flops) {
  if (stream.device().ops().kernels == Kernels::kCounted) work_of(stream).fp32_flops += flops;
}

Floor floor_of(const Work& work, const DevicePeak& peak, DType compute, Conv2dMath math) {
  const double rate = compute != DType::kF32 ? peak.half : math == Conv2dMath::kTf32 ? peak.tf32 : peak.fp32;
  return {.rate = rate,
          .arithmetic = work.conv_flops / rate + work.fp32_flops / peak.fp32,
          .memory = work.bytes / peak.bytes};
}

PlanningDevice::PlanningDevice(Device& plans)
    : Device(plans.kind(), kOps), plans_(plans), next_(kAlignment) {}

std::size_t PlanningDevice::allocated_bytes() const {
  std::size_t sum = 0;
  for (const Allocation& one : allocated_) sum += one.bytes;
  return sum;
}

void* PlanningDevice::allocate(std::size_t bytes, std::string_view what) {
  allocated_.push_back({std::string(what), bytes});
  void* address = reinterpret_cast<void*>(next_);  // NOLINT(performance-no-int-to-ptr): never dereferenced
  next_ += (bytes / kAlignment + 1) * kAlignment;
  return address;
}

std::unique_ptr<Stream> PlanningDevice::make_stream(StreamMode) {
  return std::make_unique<PlanningStream>(*this);
}

}  // namespace tdds
