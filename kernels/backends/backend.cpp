#include "kernels/backends/backend.h"

#include "kernels/runtime/check.h"

namespace tdds {

namespace {

Backend backend_of(DeviceKind kind) {
  return kind == DeviceKind::kCpu    ? cpu_backend()
         : kind == DeviceKind::kSimt ? simt_backend()
                                     : cuda_backend();
}

}  // namespace

std::unique_ptr<Device> make_device(DeviceKind kind, const DeviceOptions& options) {
  const Backend backend = backend_of(kind);
  check(backend.ops != nullptr, "device '{}' is not available: {}", to_string(kind), backend.why_absent);
  return backend.make(kind, *backend.ops, options);
}

std::unique_ptr<Collectives> make_collectives(Device& device, Ranks& ranks) {
  return backend_of(device.kind()).make_collectives(device, ranks);
}

std::vector<std::string> offline_gpus() {
  const Backend cuda = cuda_backend();
  return cuda.describable ? cuda.describable() : std::vector<std::string>();
}

std::unique_ptr<Device> make_offline_gpu(std::string_view target) {
  const Backend cuda = cuda_backend();
  check(cuda.describe != nullptr, "cannot plan for a GPU: {}", cuda.why_absent);
  return cuda.describe(target);
}

DeviceKind best_device() {
  const Backend cuda = cuda_backend();
  return cuda.ops && cuda.machine_has_it() ? DeviceKind::kCuda : DeviceKind::kCpu;
}

}  // namespace tdds
