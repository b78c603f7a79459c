#include "kernels/ops/sort.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/ops/run.h"

namespace tdds::cpu {

template <>
void run(const SortArgs& args) {
  std::vector<std::int64_t> places(static_cast<std::size_t>(args.n));
  std::iota(places.begin(), places.end(), std::int64_t{0});
  std::stable_sort(places.begin(), places.end(),
                   [&](std::int64_t a, std::int64_t b) { return args.score[a] < args.score[b]; });
  for (std::size_t i = 0; i < places.size(); ++i) {
    args.sorted_score[i] = args.score[places[i]];
    args.sorted_ids[i] = args.ids[places[i]];
  }
}

}  // namespace tdds::cpu
