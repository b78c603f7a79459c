#pragma once
// A device for a test, which is skipped where this machine has none.

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds::test {

// Call it in SetUp(). Null where the device is not available: the test is then skipped, or with
// TDDS_REQUIRE_GPU=1 in the environment failed if the device is `cuda`.
inline std::unique_ptr<Device> device_or_skip(DeviceKind kind, const DeviceOptions& options = {}) {
  std::unique_ptr<Device> device;
  [&] {
    try {
      device = make_device(kind, options);
    } catch (const Error& error) {
      const char* required = std::getenv("TDDS_REQUIRE_GPU");
      if (kind == DeviceKind::kCuda && required && std::string_view(required) == "1")
        FAIL() << "TDDS_REQUIRE_GPU=1, but " << error.what();
      GTEST_SKIP() << error.what();
    }
  }();
  return device;
}

}  // namespace tdds::test
