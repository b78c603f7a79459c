#pragma once
// The row of a launch among a device's counters.

#include "kernels/runtime/device.h"
#include "kernels/simt/executor.h"

namespace tdds::simt {

// The name that a launch gives, and the place of the launch.
struct LaunchName {
  const char* text;
  Site site;

  LaunchName(const char* name, const Site& at = Site::current())  // NOLINT(google-explicit-constructor)
      : text(name), site(at) {}
};

// The row of the kernel `function`; null if the device counts nothing.
KernelCounters* counters_of(Device& device, const LaunchName& name, const void* function);

}  // namespace tdds::simt
