#include "kernels/ops/sort.h"

#include <limits>

#include "kernels/ops/dispatch.h"

namespace tdds {

std::size_t sort_workspace_bytes(const Device& device, std::int64_t n) {
  const Ops& ops = device.ops();
  return ops.sort_workspace_bytes ? ops.sort_workspace_bytes(n) : 0;
}

void sort_by_score(Stream& stream, const SortArgs& args) {
  check(args.n >= 1 && args.n <= std::numeric_limits<std::int32_t>::max(),
        "sort_by_score: cannot sort {} scores; give 1 to 2^31 - 1", args.n);
  check(args.score && args.ids && args.sorted_score && args.sorted_ids,
        "sort_by_score: pointers to arrays must not be null");
  dispatch(stream, "sort_by_score", args, bytes_of(DType::kF32, 4 * args.n));
}

}  // namespace tdds
