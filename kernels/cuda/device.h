#pragma once
// One GPU: its memory and its properties. A thread may use the device after make_current(), which every entry
// point calls. kernels/cuda/cudnn/cudnn_device.h adds the convolution plans.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/stream.h"
#include "kernels/runtime/device.h"

namespace tdds {

struct GpuFacts {
  std::string name;
  int sm;  // 90 for compute capability 9.0
  int multiprocessors;
  std::size_t memory_bytes;
  double clock_hz, bytes_per_second;    // of the multiprocessors; of the memory
  int driver_version, runtime_version;  // 13000 for 13.0
};

// Properties of GPU `ordinal`, which becomes current. Throws Error where there is no GPU or it cannot be
// used, and UsageError where there is no GPU of that number.
GpuFacts probe_gpu(int ordinal);

// Whether there is an NVIDIA driver that sees a GPU. Also true where the driver is too old to tell, so that
// probe_gpu reports it.
bool machine_has_gpu();

class ConvPlanStore;

// The interface that the ops use, for a GPU that is present and for one known only by its description.
class GpuDevice : public Device {
 public:
  explicit GpuDevice(const Ops& ops, bool debug_sync = false) : Device(DeviceKind::kCuda, ops, debug_sync) {}
  virtual ConvPlanStore& conv_plans() = 0;
  bool uploads_ahead() const override { return true; }
  bool allow_shared_memory(const void* kernel, std::size_t bytes) override {
    return bytes <= shared_memory_limit(kernel);
  }
};

class CudaDevice : public GpuDevice {
 public:
  CudaDevice(const Ops& ops, const DeviceOptions& options);
  ~CudaDevice() override;

  std::string description() const override;
  DevicePeak peak(std::size_t) const override;
  bool has_branches() const override { return options_.branches == Branches::kBeside; }
  std::optional<DeviceClocks> clocks() const override;
  void* allocate(std::size_t bytes, std::string_view what) override;
  void free(void* memory) noexcept override;
  std::int64_t allocations() const override { return allocations_; }
  std::vector<std::string> notes() const override { return notes_; }
  void* allocate_host(std::size_t bytes, std::string_view what) override;
  void free_host(void* memory) noexcept override;
  bool is_pinned(const void* memory) const { return pinned_.contains(memory); }
  std::unique_ptr<Stream> make_stream(StreamMode mode) override;
  bool allow_shared_memory(const void* kernel, std::size_t bytes) override;

  const DeviceOptions& options() const { return options_; }
  const GpuFacts& facts() const { return facts_; }
  // Calls cudaSetDevice for the calling thread: the runtime keeps the current device per thread, initially 0.
  void make_current() const;
  // Whether the kernel may be launched before the one in front of it has ended: the GPU supports it, and the
  // kernel's code has the wait of wait_for_previous().
  bool may_overlap(const void* kernel);
  // For work outside training: filling memory and timing plans.
  CudaStream& setup_stream() { return *setup_stream_; }

 private:
  DeviceOptions options_;
  GpuFacts facts_;
  std::int64_t allocations_ = 0;
  std::map<const void*, bool> may_overlap_;  // of the kernels launched so far
  std::map<const void*, std::size_t> allocated_;
  std::size_t allocated_bytes_ = 0;
  std::map<const void*, PinnedMemory> pinned_;  // of allocate_host
  std::vector<std::string> notes_;
  std::unique_ptr<CudaStream> setup_stream_;
};

}  // namespace tdds
