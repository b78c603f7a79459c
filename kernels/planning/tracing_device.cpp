#include "kernels/planning/tracing_device.h"

#include <algorithm>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

class TracingStream final : public Stream {
 public:
  TracingStream(TracingDevice& device, StreamMode mode)
      : Stream(device), real_(device.plans().make_stream(mode)) {}

  Stream& real() { return *real_; }
  // The name of the innermost open range.
  std::string layer() const { return layers_.empty() ? "" : layers_.back(); }

  void upload(void* device_memory, const void* host, std::size_t bytes) override {
    real_->upload(device_memory, host, bytes);
  }
  void download(void* host, const void* device_memory, std::size_t bytes) override {
    real_->download(host, device_memory, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) override { real_->copy(to, from, bytes); }
  void zero(void* device_memory, std::size_t bytes) override { real_->zero(device_memory, bytes); }
  std::unique_ptr<Recording> record(const std::function<void()>&) override {
    throw Error("Stream::record: a tracing device cannot record");
  }
  void replay(const Recording&) override { throw Error("Stream::replay: a tracing device cannot replay"); }
  void synchronize() override { real_->synchronize(); }

 protected:
  void range_begins(const char* name) override { layers_.emplace_back(name); }
  void range_ends() override { layers_.pop_back(); }

 private:
  std::unique_ptr<Stream> real_;
  std::vector<std::string> layers_;
};

}  // namespace

void TracingDevice::op(Stream& stream, const OpWork& work, std::function<void(Stream&)> run) {
  auto& traced = static_cast<TracingStream&>(stream);
  run(traced.real());
  ops_.push_back({work, traced.layer(), std::move(run)});
}

void* TracingDevice::allocate(std::size_t bytes, std::string_view what) {
  allocated_.push_back({std::string(what), plans().allocate(bytes, what), bytes});
  return allocated_.back().memory;
}

void TracingDevice::free(void* memory) noexcept {
  std::erase_if(allocated_, [&](const Allocation& one) { return one.memory == memory; });
  plans().free(memory);
}

const TracingDevice::Allocation* TracingDevice::find(std::string_view what) const {
  const auto found = std::find_if(allocated_.begin(), allocated_.end(),
                                  [&](const Allocation& one) { return one.what == what; });
  return found == allocated_.end() ? nullptr : &*found;
}

std::unique_ptr<Stream> TracingDevice::make_stream(StreamMode mode) {
  return std::make_unique<TracingStream>(*this, mode);
}

}  // namespace tdds
