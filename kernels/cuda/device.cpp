#include "kernels/cuda/device.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "kernels/cuda/nvml.h"
#include "kernels/numerics/mib.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr int kMinSm = 80;              // the first with cp.async, bf16 and TF32
constexpr int kDependentLaunches = 90;  // the first with griddepcontrol

int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&value, which, ordinal));
  return value;
}

}  // namespace

GpuFacts probe_gpu(int ordinal) {
  GpuFacts facts{};
  // Gives 0 and no error where no driver is installed (cuda_runtime_api.h, cudaDriverGetVersion).
  CHECK_CUDA(cudaDriverGetVersion(&facts.driver_version));
  CHECK_CUDA(cudaRuntimeGetVersion(&facts.runtime_version));
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (const std::string why = no_gpu_sentence(status, facts.driver_version, facts.runtime_version);
      !why.empty()) {
    static_cast<void>(cudaGetLastError());
    throw Error(why);
  }
  check_cuda_status(status, "cudaGetDeviceCount(&count)", __FILE__, __LINE__);
  check_usage(0 <= ordinal && ordinal < count, "there is no GPU {}: this machine has {}, numbered from 0",
              ordinal, count);

  cudaDeviceProp properties{};
  CHECK_CUDA(cudaGetDeviceProperties(&properties, ordinal));
  facts.name = properties.name;
  facts.memory_bytes = properties.totalGlobalMem;
  facts.sm = 10 * attribute(cudaDevAttrComputeCapabilityMajor, ordinal) +
             attribute(cudaDevAttrComputeCapabilityMinor, ordinal);
  facts.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, ordinal);
  facts.clock_hz = 1e3 * attribute(cudaDevAttrClockRate, ordinal);  // the attribute is in kHz
  // Two transfers per clock, each as wide as the bus.
  facts.bytes_per_second = 2e3 * attribute(cudaDevAttrMemoryClockRate, ordinal) *
                           attribute(cudaDevAttrGlobalMemoryBusWidth, ordinal) / 8;
  check(facts.sm >= kMinSm,
        "{} is too old: it is sm_{}, and sm_{} (2020, Ampere) or newer is needed; use `device` cpu",
        facts.name, facts.sm, kMinSm);
  CHECK_CUDA(cudaSetDevice(ordinal));
  return facts;
}

bool machine_has_gpu() {
  int driver_version = 0, count = 0;
  if (cudaDriverGetVersion(&driver_version) != cudaSuccess || driver_version == 0) return false;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  return status != cudaErrorNoDevice;
}

CudaDevice::CudaDevice(const Ops& ops, const DeviceOptions& options)
    : GpuDevice(ops, options.debug_sync), options_(options), facts_(probe_gpu(options.ordinal)) {
  setup_stream_ = std::make_unique<CudaStream>(*this, /*branches=*/false);
}

CudaDevice::~CudaDevice() = default;

void CudaDevice::make_current() const {
  CHECK_CUDA(cudaSetDevice(options_.ordinal));
}

// Code for an older architecture that the driver compiles for this GPU does not have the wait.
bool CudaDevice::may_overlap(const void* kernel) {
  if (!options_.dependent_launches || facts_.sm < kDependentLaunches) return false;
  const auto [known, is_new] = may_overlap_.try_emplace(kernel, false);
  if (is_new) {
    cudaFuncAttributes attributes{};
    const cudaError_t status = cudaFuncGetAttributes(&attributes, kernel);
    if (status != cudaSuccess) static_cast<void>(cudaGetLastError());  // the launch fails too, with the name
    known->second = status == cudaSuccess && attributes.ptxVersion >= kDependentLaunches;
  }
  return known->second;
}

std::string CudaDevice::description() const {
  return fmt::format("cuda:{}, {}, sm_{}, {} multiprocessors, {:.1f} GiB, driver CUDA {}.{}, runtime {}.{}",
                     options_.ordinal, facts_.name, facts_.sm, facts_.multiprocessors,
                     mib(facts_.memory_bytes) / 1024, facts_.driver_version / 1000,
                     facts_.driver_version % 1000 / 10, facts_.runtime_version / 1000,
                     facts_.runtime_version % 1000 / 10);
}

// Operations per clock and multiprocessor, a multiply-add counted as two (CUDA C++ Programming Guide,
// throughput of arithmetic instructions; for tensor cores the white papers of the architectures). Some cards
// of an architecture reach half of it; the table has the upper bound.
DevicePeak CudaDevice::peak(std::size_t) const {
  struct PerClock {
    int from_sm;
    double fp32, tf32, half;
  };
  constexpr PerClock kTable[] = {{120, 256, 512, 1024},
                                 {100, 256, 4096, 8192},
                                 {90, 256, 2048, 4096},
                                 {86, 256, 512, 1024},
                                 {80, 128, 1024, 2048}};
  const auto* row = std::find_if(std::begin(kTable), std::end(kTable),
                                 [&](const PerClock& one) { return facts_.sm >= one.from_sm; });
  const double clocks = facts_.clock_hz * facts_.multiprocessors;
  return {.bytes = facts_.bytes_per_second,
          .fp32 = row->fp32 * clocks,
          .tf32 = row->tf32 * clocks,
          .half = row->half * clocks,
          .memory_bytes = facts_.memory_bytes,
          .source = "its clock rates as reported by the driver"};
}

std::optional<DeviceClocks> CudaDevice::clocks() const {
  std::array<char, 32> bus_id{};
  CHECK_CUDA(cudaDeviceGetPCIBusId(bus_id.data(), bus_id.size(), options_.ordinal));
  return read_clocks(bus_id.data());
}

void* CudaDevice::allocate(std::size_t bytes, std::string_view what) {
  make_current();
  void* memory = nullptr;
  const std::size_t size = bytes > 0 ? bytes : 1;
  const cudaError_t status = cudaMalloc(&memory, size);  // aligned to at least 256 bytes (Programming Guide)
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // not a sticky error: the device stays usable
    std::size_t free_bytes = 0, total_bytes = 0;
    CHECK_CUDA(cudaMemGetInfo(&free_bytes, &total_bytes));
    throw OutOfMemory(
        fmt::format("not enough memory on {} for {}: it needs {:.1f} MiB, and {:.1f} of {:.1f} MiB are free; "
                    "use a smaller batch or network, or end other programs on this GPU",
                    facts_.name, what, mib(size), mib(free_bytes), mib(total_bytes)),
        free_bytes + allocated_bytes_);
  }
  check_cuda_status(status, "cudaMalloc(&memory, size)", __FILE__, __LINE__);
  GpuMemory owner(memory);
  CHECK_CUDA(cudaMemsetAsync(memory, 0xFF, size, setup_stream_->get()));
  CHECK_CUDA(cudaStreamSynchronize(setup_stream_->get()));
  ++allocations_;
  allocated_[memory] = size;
  allocated_bytes_ += size;
  return owner.release();
}

void CudaDevice::free(void* memory) noexcept {
  if (const auto known = allocated_.find(memory); known != allocated_.end()) {
    allocated_bytes_ -= known->second;
    allocated_.erase(known);
  }
  // cudaFree works on the device of the pointer, whichever device is current.
  static_cast<void>(cudaFree(memory));
}

void* CudaDevice::allocate_host(std::size_t bytes, std::string_view what) {
  make_current();
  PinnedMemory memory;
  const cudaError_t status = cudaMallocHost(out(memory), bytes);
  if (status == cudaSuccess) {
    void* const at = memory.get();
    pinned_[at] = std::move(memory);
    return at;
  }
  static_cast<void>(cudaGetLastError());  // not a sticky error: the device stays usable
  const std::string note = fmt::format(
      "{:.1f} MiB of host memory for {} cannot be pinned ({}), so the GPU waits for its copies; end other "
      "programs, or use a smaller batch",
      mib(bytes), what, cuda_error_text(status));
  if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) notes_.push_back(note);
  return Device::allocate_host(bytes, what);
}

void CudaDevice::free_host(void* memory) noexcept {
  const auto pinned = pinned_.find(memory);
  if (pinned == pinned_.end()) return Device::free_host(memory);
  // A copy may still read it.
  static_cast<void>(cudaSetDevice(options_.ordinal));
  static_cast<void>(cudaDeviceSynchronize());
  pinned_.erase(pinned);
}

bool CudaDevice::allow_shared_memory(const void* kernel, std::size_t bytes) {
  if (bytes <= shared_memory_limit(kernel)) return true;
  make_current();
  cudaFuncAttributes attributes{};
  CHECK_CUDA(cudaFuncGetAttributes(&attributes, kernel));
  // The sum with the kernel's own shared memory is limited (cuda_runtime_api.h, cudaFuncSetAttribute).
  const int most = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, options_.ordinal);
  if (attributes.sharedSizeBytes + bytes > static_cast<std::size_t>(most)) return false;
  CHECK_CUDA(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
  set_shared_memory_limit(kernel, bytes);
  return true;
}

std::unique_ptr<Stream> CudaDevice::make_stream(StreamMode) {
  return std::make_unique<CudaStream>(*this, has_branches());
}

}  // namespace tdds
