#include "engine/shuffle.h"

#include <numeric>

#include "kernels/numerics/philox.h"

namespace tdds {

std::vector<std::int32_t> shuffled(std::span<const std::int32_t> ids, std::uint64_t seed,
                                   std::int32_t epoch) {
  std::vector<std::int32_t> order(ids.begin(), ids.end());
  for (std::size_t i = order.size(); i > 1; --i) {
    const PhiloxWords words = philox(seed, Purpose::kShuffle, static_cast<std::uint32_t>(epoch), i);
    std::swap(order[i - 1], order[scaled(words.w[0], static_cast<std::uint32_t>(i))]);
  }
  return order;
}

std::vector<std::int32_t> counting_ids(std::int64_t n) {
  std::vector<std::int32_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

}  // namespace tdds
