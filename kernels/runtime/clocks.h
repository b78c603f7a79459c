#pragma once

#include <string>

namespace tdds {

// What decides how fast a GPU is at this moment.
struct DeviceClocks {
  int sm_mhz = 0, memory_mhz = 0, celsius = 0;
  std::string slowed_by = {};  // such as "the power limit, heat"; empty where nothing lowers the clocks
};

std::string to_string(const DeviceClocks& clocks);

// A sentence for the user where the clocks differ by more than 3 % between the beginning and the end of a
// measurement, or are lowered; otherwise "".
std::string clocks_warning(const DeviceClocks& before, const DeviceClocks& after);

}  // namespace tdds
