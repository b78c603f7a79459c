#pragma once
// The backends: the implementation of the ops and the devices of each. make_device and the related functions
// of kernels/runtime/device.h choose among them.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops/ops.h"
#include "kernels/ranks/collectives.h"
#include "kernels/runtime/device.h"

namespace tdds {

// `ops` is null in a build without this backend; `why_absent` then gives the reason.
struct Backend {
  const Ops* ops;
  const char* why_absent;
  std::unique_ptr<Device> (*make)(DeviceKind, const Ops&, const DeviceOptions&);
  std::unique_ptr<Collectives> (*make_collectives)(Device&, Ranks&) = nullptr;
  bool (*machine_has_it)() = nullptr;  // null: every machine has it
  // Devices that can be planned for from a description alone; null where there are none.
  std::vector<std::string> (*describable)() = nullptr;
  std::unique_ptr<Device> (*describe)(std::string_view target) = nullptr;
};
Backend cpu_backend();
Backend simt_backend();
Backend cuda_backend();

}  // namespace tdds
