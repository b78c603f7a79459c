#pragma once
// How many samples each class gives where only some of all are taken.

#include <cstdint>
#include <vector>

namespace tdds {

// `total` split in proportion to `sizes`, the number of samples of each class: whole numbers that add up to
// it, none above its class's size; the largest remainders are rounded up, equal ones by class. Where `total`
// is enough for it, every class that has samples gives at least one, at the cost of the largest shares.
// Throws Error unless total is in 0 .. the sum of the sizes.
std::vector<std::int64_t> class_shares(const std::vector<std::int64_t>& sizes, std::int64_t total);

}  // namespace tdds
