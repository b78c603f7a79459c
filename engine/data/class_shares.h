#pragma once
// How many samples to take from each class when only some are taken.

#include <cstdint>
#include <vector>

namespace tdds {

// Splits `total` in proportion to `sizes`, the number of samples of each class. The shares are integers that
// add up to `total`, and none exceeds the size of its class. The largest remainders are rounded up; of equal
// ones, the lower class's. If `total` suffices, every class that has samples gets at least one, taken from
// the largest shares. Throws Error unless total is in 0 .. the sum of the sizes.
std::vector<std::int64_t> class_shares(const std::vector<std::int64_t>& sizes, std::int64_t total);

}  // namespace tdds
