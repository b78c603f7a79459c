#include "kernels/planning/planning_device.h"

#include <algorithm>
#include <cstring>

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

}  // namespace

Floor floor_of(const Work& work, const DevicePeak& peak, DType compute, Conv2dMath math) {
  const double rate = compute != DType::kF32 ? peak.half : math == Conv2dMath::kTf32 ? peak.tf32 : peak.fp32;
  return {.rate = rate,
          .arithmetic = work.conv_flops / rate + work.fp32_flops / peak.fp32,
          .memory = work.bytes / peak.bytes};
}

PlanningDevice::PlanningDevice(Device& plans) : CountingDevice(plans), next_(kAlignment) {}

void PlanningDevice::op(Stream&, const OpWork& work, std::function<void(Stream&)>) {
  work_.bytes += work.bytes;
  work_.conv_flops += work.conv_flops;
  work_.fp32_flops += work.fp32_flops;
  work_.largest = std::max(work_.largest, work.largest);
}

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
