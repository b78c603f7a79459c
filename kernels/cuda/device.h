#pragma once
// One GPU: its memory and its facts. A thread may use the device after make_current(); every entry point
// calls it. The convolution plans chosen for it are kernels/cuda/cudnn/cudnn_device.h's.

#include <map>
#include <memory>
#include <string>

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

// Facts about the `ordinal`-th GPU, which becomes current. Throws Error in one sentence where there is no
// GPU, or an unusable one; UsageError where there are fewer.
GpuFacts probe_gpu(int ordinal);

// Whether there is an NVIDIA driver that sees a GPU, or one too old to say: then probe_gpu tells the user.
bool machine_has_gpu();

class ConvPlanStore;

// What the ops ask of a GPU whether it is here or only described.
class GpuDevice : public Device {
 public:
  explicit GpuDevice(const Ops& ops, bool debug_sync = false) : Device(DeviceKind::kCuda, ops, debug_sync) {}
  virtual ConvPlanStore& conv_plans() = 0;
};

class CudaDevice : public GpuDevice {
 public:
  CudaDevice(const Ops& ops, const DeviceOptions& options);
  ~CudaDevice() override;

  std::string description() const override;
  DevicePeak peak(std::size_t) const override;
  void* allocate(std::size_t bytes, std::string_view what) override;
  void free(void* memory) noexcept override;
  std::int64_t allocations() const override { return allocations_; }
  std::unique_ptr<Stream> make_stream(StreamMode mode) override;

  const DeviceOptions& options() const { return options_; }
  const GpuFacts& facts() const { return facts_; }
  // cudaSetDevice for the calling thread: the runtime keeps the current device per thread, 0 at first.
  void make_current() const;
  // For what is done outside training: fills, and the timing of plans.
  CudaStream& setup_stream() { return *setup_stream_; }

 private:
  DeviceOptions options_;
  GpuFacts facts_;
  std::int64_t allocations_ = 0;
  std::map<const void*, std::size_t> allocated_;
  std::size_t allocated_bytes_ = 0;
  std::unique_ptr<CudaStream> setup_stream_;
};

}  // namespace tdds
