#pragma once
// A device owns memory, makes streams, and has the table of its ops. Requesting a device that is not
// available is an error with the reason; there is no fallback to another device.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/clocks.h"
#include "kernels/runtime/geometry.h"
#include "kernels/runtime/kernel_counters.h"
#include "kernels/runtime/stream.h"

namespace tdds {

struct Ops;

enum class DeviceKind {
  kCpu,   // the readable reference; oneDNN for convolutions
  kSimt,  // the CUDA kernels, compiled by the host compiler and run thread by thread on the CPU
  kCuda
};

enum class StreamMode {
  kImmediate,  // host devices run a command when it is enqueued
  kDeferred    // host devices run nothing before synchronize(): the latest that a GPU may run a command
};

// Where the commands of a branch (Stream::fork) run. The last three are for tests: they show a fork that is
// not joined in time by different bits, on any machine.
enum class Branches : std::uint8_t {
  kInPlace,     // where they are enqueued: the device has no branches
  kBeside,      // on a GPU at the same time as the commands after the fork; on a host device in place
  kAtFork,      // host devices: at once
  kAtJoin,      // host devices: as late as their join allows
  kInterleaved  // host devices: between the commands after the fork, drawn from branch_seed
};

// Storage of timed convolution plans between runs, as text. Both functions may throw Error.
struct PlanCache {
  using Text = std::optional<std::string>;  // nothing where no text has been saved yet
  std::string name = {};                    // for messages; empty where there is no cache
  std::function<Text()> read = {};
  // Replaces the saved text by merged(text). No other program changes it in between.
  std::function<void(const std::function<std::string(const Text&)>& merged)> update = {};
};

// When 3x3 convolutions run by the project's own kernels (kernels/ops/conv3x3.h) on shapes that these
// support.
enum class OwnConvolutions : std::uint8_t {
  kNever,
  kWhereFaster,  // than cuDNN's plans, where plans are timed; never elsewhere
  kAlways        // those of a training
};
inline constexpr std::array kOwnConvolutions{OwnConvolutions::kNever, OwnConvolutions::kWhereFaster,
                                             OwnConvolutions::kAlways};
const char* to_string(OwnConvolutions own);  // "never", "where_faster", "always"

struct DeviceOptions {
  int ordinal = 0;              // number of the GPU, in the driver's order
  bool debug_sync = false;      // wait after every command, so that an error names the command that caused it
  bool count_accesses = false;  // on simt: count what kernels do, for Device::kernel_counts(); slow
  bool dependent_launches = true;  // launch a kernel while the one in front still runs, on sm_90 and newer
  OwnConvolutions own_convolutions = OwnConvolutions::kWhereFaster;  // on simt and cuda
  Branches branches = Branches::kBeside;
  std::uint32_t branch_seed = 0;
  bool cudnn_autotune = false;  // time convolution plans that are not in plan_cache; else cuDNN's heuristics
                                // choose them
  PlanCache plan_cache = {};
  std::string pinned_plans = {};  // Device::pinned_plans() of the run that is resumed; takes precedence
  // Shows what is being timed; "": nothing any more. It may throw to end the work.
  std::function<void(const std::string& text)> show_timing = {};
};

// The number of the GPU kernels' arithmetic, which checkpoints keep. Raise it with every change after which a
// training on cuda or simt has other bits: of a kernel in kernels/gpu, or of how the engine calls it.
inline constexpr int kGpuArithmetic = 3;

// The peak rates of a device, per second; zero where unknown. Products are dense; a multiply and an add count
// as two operations.
struct DevicePeak {
  double bytes = 0;                     // moved to and from its memory
  double fp32 = 0, tf32 = 0, half = 0;  // operations on operands of that type, summed in fp32
  std::size_t memory_bytes = 0;         // size of its memory
  std::string source = {};              // where the figures come from
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
  // Whether every command is waited for. Steps are then not recorded, because a recording runs as a whole.
  bool debug_sync() const { return debug_sync_; }
  // Whether a fork's commands may run at another time than where they are enqueued, so that they need memory
  // of their own.
  virtual bool has_branches() const { return false; }
  // One line for the log: name, threads and instruction set or compute capability.
  virtual std::string description() const = 0;
  // largest_tensor: size in bytes of the largest operand. The CPU's rates are measured
  // (kernels/runtime/host_peak.h); those of other devices are known.
  virtual DevicePeak peak(std::size_t /*largest_tensor*/ = 0) const { return {}; }
  // Nothing on a host, and where the driver's NVML does not tell.
  virtual std::optional<DeviceClocks> clocks() const { return std::nullopt; }
  // The convolution plans made so far, for DeviceOptions::pinned_plans of a run that must continue with the
  // same plans; empty where the shape determines the plan.
  virtual std::string pinned_plans() const { return {}; }
  // Sentences for the user, collected while plans were made.
  virtual std::vector<std::string> notes() const { return {}; }

  // What each kernel has done so far; null unless this is simt with DeviceOptions::count_accesses.
  virtual KernelCounts* kernel_counts() { return nullptr; }

  // Memory aligned to at least 256 bytes, every byte 0xFF (as float: NaN), so that nothing can rely on zeros.
  // Throws OutOfMemory (kernels/runtime/check.h), naming `what`, when there is not enough memory.
  virtual void* allocate(std::size_t bytes, std::string_view what) = 0;
  virtual void free(void* memory) noexcept = 0;
  // The number of calls of allocate() since the device was made. A training step must not change it.
  virtual std::int64_t allocations() const = 0;

  // Host memory from which a GPU can copy while its commands run; if that fails, plain memory and a note
  // that says so. On a host device plain memory.
  virtual void* allocate_host(std::size_t bytes, std::string_view /*what*/) { return ::operator new(bytes); }
  virtual void free_host(void* memory) noexcept { ::operator delete(memory); }
  // Whether Stream::upload_ahead uses its staging memory.
  virtual bool uploads_ahead() const { return false; }

  virtual std::unique_ptr<Stream> make_stream(StreamMode mode = StreamMode::kImmediate) = 0;

  // Allows launches of a kernel with up to `bytes` of shared memory where that is more than every GPU
  // provides (kernels/gpu/gpu.h). Not while a stream records. False where a block cannot have so much on this
  // device.
  virtual bool allow_shared_memory(const void* kernel, std::size_t bytes) = 0;
  // The most shared memory that a launch of the kernel may ask for.
  std::size_t shared_memory_limit(const void* kernel) const {
    const auto other = shared_memory_limits_.find(kernel);
    return other == shared_memory_limits_.end() ? kMaxSharedBytes : other->second;
  }

 protected:
  void set_shared_memory_limit(const void* kernel, std::size_t bytes) {
    shared_memory_limits_[kernel] = bytes;
  }

 private:
  std::map<const void*, std::size_t> shared_memory_limits_;  // of the kernels that have another one
  DeviceKind kind_;
  const Ops& ops_;
  bool debug_sync_;
};

inline constexpr std::array kDeviceKinds{DeviceKind::kCpu, DeviceKind::kSimt, DeviceKind::kCuda};
const char* to_string(DeviceKind kind);  // "cpu", "simt", "cuda"

// Throws Error with the reason when this build or this machine has no such device, or when it cannot count
// accesses. Of the options, the host devices use only debug_sync, count_accesses, branches, branch_seed and
// own_convolutions.
std::unique_ptr<Device> make_device(DeviceKind kind, const DeviceOptions& options = {});

// cuda if this build supports it and the machine has a GPU, else cpu.
DeviceKind best_device();

// GPUs that this build can plan for without one being present: "sm_80", ... Empty in a build without CUDA.
std::vector<std::string> offline_gpus();
// One of these GPUs: its convolution plans are real, but nothing can be allocated or run on it. Throws
// UsageError for an unknown name, listing the known ones, and Error in a build without CUDA.
std::unique_ptr<Device> make_offline_gpu(std::string_view target);

// Sets the number of threads of the host's kernels; 0 means one per core.
void set_host_threads(int threads);
int host_cores();
// Whether the CPU can train in bf16: it has avx512_bf16 and TDDS_CPU_ISA allows it.
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

struct HostFree {
  Device* device = nullptr;
  void operator()(void* memory) const noexcept { device->free_host(memory); }
};

// Owns host memory of Device::allocate_host.
class HostMemory {
 public:
  HostMemory() = default;
  HostMemory(Device& device, std::size_t bytes, std::string_view what)
      : data_(device.allocate_host(bytes, what), HostFree{&device}) {}

  template <class T>
  T* get() const {
    return static_cast<T*>(data_.get());
  }

 private:
  std::unique_ptr<void, HostFree> data_;
};

}  // namespace tdds
