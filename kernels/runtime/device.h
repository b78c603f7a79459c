#pragma once
// A device owns memory, makes streams, and holds the one table of its ops. Asking for an absent device is an
// error that says why it is absent; nothing falls back to another device.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/stream.h"

namespace tdds {

struct Ops;

enum class DeviceKind {
  kCpu,   // the readable reference, oneDNN for convolutions
  kSimt,  // the CUDA kernels, compiled by the host compiler and executed thread by thread on the CPU
  kCuda
};

enum class StreamMode {
  kImmediate,  // host devices run a command when it is enqueued
  kDeferred    // host devices run nothing before synchronize(), as late as a GPU ever might
};

// What is kept of timed convolution plans between runs, as text. Both functions may throw Error.
struct PlanCache {
  std::string name = {};                                   // in sentences; empty: there is none
  std::function<std::optional<std::string>()> read = {};   // nothing: none was kept yet
  std::function<void(const std::string& text)> keep = {};  // all of it, whenever a plan was added
};

struct DeviceOptions {
  int ordinal = 0;              // which GPU, in the driver's order
  bool debug_sync = false;      // wait after every command, so that an error names the command that made it
  bool cudnn_autotune = false;  // choose convolution plans by timing them instead of by cuDNN's heuristics
  PlanCache plan_cache = {};
  std::string pinned_plans = {};  // Device::pinned_plans() of the run that is resumed: used before all else
};

// What a device can do at best, per second; zeros where nothing is known. Products are dense, multiply and
// add counted apart.
struct DevicePeak {
  double bytes = 0;                     // of its memory
  double fp32 = 0, tf32 = 0, half = 0;  // of products of operands of that type, summed in fp32
  std::size_t memory_bytes = 0;         // that it has
  std::string source = {};              // whose figures these are
};

class Device {
 public:
  Device(DeviceKind kind, const Ops& ops, bool debug_sync = false)
      : kind_(kind), ops_(ops), debug_sync_(debug_sync) {}
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  DeviceKind kind() const { return kind_; }
  const Ops& ops() const { return ops_; }
  // Every command is waited for, and steps are not recorded: a recording runs as one.
  bool debug_sync() const { return debug_sync_; }
  // Name, threads and instruction set or compute capability: one line for the log.
  virtual std::string description() const = 0;
  // largest_tensor: bytes, of what is streamed through. The CPU's is measured (kernels/runtime/host_peak.h),
  // others' are known.
  virtual DevicePeak peak(std::size_t /*largest_tensor*/ = 0) const { return {}; }
  // The convolution plans made so far, for DeviceOptions::pinned_plans of a run that must go on with the
  // same; empty where a plan follows from the shape.
  virtual std::string pinned_plans() const { return {}; }
  // Sentences that a user should read, gathered while plans were made.
  virtual std::vector<std::string> notes() const { return {}; }

  // Memory aligned to at least 256 bytes, every byte 0xFF (as float: NaN), so that nothing can rely on zeros.
  // Throws OutOfMemory (kernels/runtime/check.h), naming `what`, when there is not enough.
  virtual void* allocate(std::size_t bytes, std::string_view what) = 0;
  virtual void free(void* memory) noexcept = 0;
  // How often allocate() was called since the device was made: a training step must not move it.
  virtual std::int64_t allocations() const = 0;

  virtual std::unique_ptr<Stream> make_stream(StreamMode mode = StreamMode::kImmediate) = 0;

 private:
  DeviceKind kind_;
  const Ops& ops_;
  bool debug_sync_;
};

inline constexpr std::array kDeviceKinds{DeviceKind::kCpu, DeviceKind::kSimt, DeviceKind::kCuda};
const char* to_string(DeviceKind kind);  // "cpu", "simt", "cuda"

// Throws Error with the reason in words when this build or this machine has no such device. Of the options
// the host devices heed debug_sync alone.
std::unique_ptr<Device> make_device(DeviceKind kind, const DeviceOptions& options = {});

// cuda where this build has it and the machine a GPU, else cpu.
DeviceKind best_device();

// GPUs that this build can plan for without having them: "sm_80", ... Empty in a build without CUDA.
std::vector<std::string> offline_gpus();
// One of them: its convolution plans are real, but nothing can be allocated on it or run. Throws UsageError
// for another word, naming those that there are, and Error in a build without CUDA.
std::unique_ptr<Device> make_offline_gpu(std::string_view target);

// How many threads the host's kernels use, 0 for one per core; what this machine has.
void set_host_threads(int threads);
int host_cores();
// Whether the host's CPU can train in bf16: it has avx512_bf16 and TDDS_CPU_ISA does not forbid it.
bool host_has_bf16();

struct DeviceFree {
  Device* device = nullptr;
  void operator()(void* memory) const noexcept { device->free(memory); }
};

// Owns one allocation of a device.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(Device& device, std::size_t bytes, std::string_view what)
      : data_(device.allocate(bytes, what), DeviceFree{&device}), bytes_(bytes) {}

  void* data() const { return data_.get(); }
  std::size_t bytes() const { return bytes_; }
  template <class T>
  T* get() const {
    return static_cast<T*>(data_.get());
  }

 private:
  std::unique_ptr<void, DeviceFree> data_;
  std::size_t bytes_ = 0;
};

}  // namespace tdds
