#pragma once
// The order in which an epoch visits its samples.

#include <cstdint>
#include <span>
#include <vector>

namespace tdds {

// `ids` shuffled (Fisher-Yates) by Philox (seed, kShuffle, epoch): the same on every machine and after a
// resume.
std::vector<std::int32_t> shuffled(std::span<const std::int32_t> ids, std::uint64_t seed, std::int32_t epoch);

// 0 .. n - 1.
std::vector<std::int32_t> counting_ids(std::int64_t n);

}  // namespace tdds
