#include "kernels/device.h"

#include "kernels/check.h"
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

}  // namespace tdds
