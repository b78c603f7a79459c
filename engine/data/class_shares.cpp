#include "engine/data/class_shares.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

#include "kernels/runtime/check.h"

namespace tdds {

std::vector<std::int64_t> class_shares(const std::vector<std::int64_t>& sizes, std::int64_t total) {
  const std::int64_t all = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  check(total >= 0 && total <= all, "{} of {} samples cannot be split among the classes", total, all);
  if (total == 0) return std::vector<std::int64_t>(sizes.size());
  std::vector<std::int64_t> shares;
  std::vector<std::pair<std::int64_t, std::size_t>> remainders;  // negated, for an ascending sort
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    shares.push_back(sizes[c] * total / all);
    remainders.emplace_back(-(sizes[c] * total % all), c);
  }
  std::sort(remainders.begin(), remainders.end());
  std::int64_t missing = total - std::accumulate(shares.begin(), shares.end(), std::int64_t{0});
  for (std::size_t i = 0; missing > 0; ++i, --missing) ++shares[remainders[i].second];

  const auto present = std::count_if(sizes.begin(), sizes.end(), [](std::int64_t n) { return n > 0; });
  if (total < present) return shares;
  std::priority_queue<std::pair<std::int64_t, std::int64_t>> largest;  // share, minus its class
  for (std::size_t c = 0; c < shares.size(); ++c) largest.emplace(shares[c], -static_cast<std::int64_t>(c));
  for (std::size_t c = 0; c < shares.size(); ++c) {
    if (sizes[c] == 0 || shares[c] > 0) continue;
    const auto [share, minus_class] = largest.top();
    largest.pop();
    largest.emplace(share - 1, minus_class);
    --shares[static_cast<std::size_t>(-minus_class)];
    shares[c] = 1;
  }
  return shares;
}

}  // namespace tdds
