#include "kernels/sort.h"

#include <limits>

#include "kernels/check.h"

namespace tdds {

void check_sort(const SortArgs& args) {
  check(args.n >= 1 && args.n <= std::numeric_limits<std::int32_t>::max(),
        "sort_by_score: {} scores cannot be sorted; 1 to 2^31 - 1 can", args.n);
  check(args.score != nullptr && args.ids != nullptr && args.sorted_score != nullptr &&
            args.sorted_ids != nullptr,
        "sort_by_score: an array is missing");
}

}  // namespace tdds
