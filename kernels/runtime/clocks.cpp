#include "kernels/runtime/clocks.h"

#include <fmt/format.h>

#include <cstdlib>

namespace tdds {
namespace {

constexpr double kSteps = 0.03;  // a GPU's clock moves by single steps of 15 MHz all the time

bool differ(int before, int after) {
  return std::abs(after - before) > kSteps * before;
}

}  // namespace

std::string to_string(const DeviceClocks& clocks) {
  return fmt::format("{} MHz (memory {} MHz, {} C{})", clocks.sm_mhz, clocks.memory_mhz, clocks.celsius,
                     clocks.slowed_by.empty() ? "" : ", lowered by " + clocks.slowed_by);
}

std::string clocks_warning(const DeviceClocks& before, const DeviceClocks& after) {
  if (!differ(before.sm_mhz, after.sm_mhz) && !differ(before.memory_mhz, after.memory_mhz) &&
      before.slowed_by.empty() && after.slowed_by.empty())
    return "";
  return fmt::format(
      "the GPU's clocks were {} before and are {} now, so do not compare these times; let the GPU cool, or "
      "lock its clocks with nvidia-smi",
      to_string(before), to_string(after));
}

}  // namespace tdds
