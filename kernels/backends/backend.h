#pragma once
// The backends: what runs the ops of each, and the devices that it serves. make_device and its siblings of
// kernels/runtime/device.h choose among them.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops/ops.h"
#include "kernels/runtime/device.h"

namespace tdds {

// What runs the ops of a backend, or null with the reason in words, and what makes its device.
struct Backend {
  const Ops* ops;
  const char* why_absent;
  std::unique_ptr<Device> (*make)(DeviceKind, const Ops&, const DeviceOptions&);
  bool (*machine_has_it)() = nullptr;  // null: every machine does
  // Devices of this backend that are known by description; null: none.
  std::vector<std::string> (*describable)() = nullptr;
  std::unique_ptr<Device> (*describe)(std::string_view target) = nullptr;
};
Backend cpu_backend();
Backend simt_backend();
Backend cuda_backend();

}  // namespace tdds
