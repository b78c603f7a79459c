#pragma once
// NVML, the driver's library for the state of a GPU. It is loaded when it is used, because it comes with the
// driver and not with the toolkit.

#include <optional>

#include "kernels/runtime/clocks.h"

namespace tdds {

// bus_id: the GPU's address, such as 0000:3b:00.0. Nothing where the library is missing or refuses.
std::optional<DeviceClocks> read_clocks(const char* bus_id, const char* library = "libnvidia-ml.so.1");

}  // namespace tdds
