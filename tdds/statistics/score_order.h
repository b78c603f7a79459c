#pragma once
// The order that scores give the samples.

#include <cstdint>
#include <span>
#include <vector>

namespace tdds {

class Device;

// Sample ids by ascending score; equal scores by ascending id. Throws Error on a NaN.
std::vector<std::int64_t> order_by_score(std::span<const float> score);

// The same, sorted on the device.
std::vector<std::int64_t> order_by_score(Device& device, std::span<const float> score);

}  // namespace tdds
