#pragma once
// The file that keeps timed convolution plans between runs, for DeviceOptions::plan_cache. Programs may share
// it: a lock beside it lets one at a time add to it. Its folder is made.

#include <string>

#include "kernels/runtime/device.h"

namespace tdds {

PlanCache plan_cache_file(const std::string& path);  // an empty path: no cache

}  // namespace tdds
