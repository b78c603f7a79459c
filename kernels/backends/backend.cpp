#include "kernels/device.h"

#include <omp.h>

#include "kernels/check.h"
#include "kernels/cpu/isa.h"
#include "kernels/ops.h"

namespace tdds {

DeviceKind parse_device_kind(std::string_view word) {
  if (word == "cpu") return DeviceKind::kCpu;
  if (word == "simt") return DeviceKind::kSimt;
  if (word == "cuda") return DeviceKind::kCuda;
  throw UsageError(fmt::format("there is no device '{}'; choose cpu, simt or cuda", word));
}

const char* name_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::kCpu:
      return "cpu";
    case DeviceKind::kSimt:
      return "simt";
    case DeviceKind::kCuda:
      return "cuda";
  }
  throw Error("name_of: not a device kind");
}

std::unique_ptr<Device> make_device(DeviceKind kind, const DeviceOptions& options) {
  const Backend backend = kind == DeviceKind::kCpu    ? cpu_backend()
                          : kind == DeviceKind::kSimt ? simt_backend()
                                                      : cuda_backend();
  check(backend.ops != nullptr, "device '{}' is not here: {}", name_of(kind), backend.why_absent);
  return backend.make(kind, *backend.ops, options);
}

std::vector<std::string> described_gpus() {
  const Backend cuda = cuda_backend();
  return cuda.describable ? cuda.describable() : std::vector<std::string>();
}

std::unique_ptr<Device> make_described_gpu(std::string_view target) {
  const Backend cuda = cuda_backend();
  check(cuda.describe != nullptr, "no plans for a GPU can be made: {}", cuda.why_absent);
  return cuda.describe(target);
}

DeviceKind best_device() {
  const Backend cuda = cuda_backend();
  return cuda.ops && cuda.machine_has_it() ? DeviceKind::kCuda : DeviceKind::kCpu;
}

int host_cores() {
  return omp_get_num_procs();
}

bool host_has_bf16() {
  return cpu::multiplies_bf16();
}

void set_host_threads(int threads) {
  check_usage(threads >= 0 && threads <= 1024,
              "{} threads cannot be used; give 0 (one per core) to 1024 (--threads)", threads);
  omp_set_num_threads(threads == 0 ? host_cores() : threads);
}

}  // namespace tdds
