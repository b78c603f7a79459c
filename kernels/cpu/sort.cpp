#include "kernels/sort.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

void run_sort(const SortArgs& args) {
  std::vector<std::int64_t> places(static_cast<std::size_t>(args.n));
  std::iota(places.begin(), places.end(), std::int64_t{0});
  std::stable_sort(places.begin(), places.end(),
                   [&](std::int64_t a, std::int64_t b) { return args.score[a] < args.score[b]; });
  for (std::size_t i = 0; i < places.size(); ++i) {
    args.sorted_score[i] = args.score[places[i]];
    args.sorted_ids[i] = args.ids[places[i]];
  }
}

}  // namespace

std::size_t sort_workspace_bytes(std::int64_t) {
  return 0;
}

void sort_by_score(Stream& stream, const SortArgs& args) {
  check_sort(args);
  enqueue<SortArgs>(stream, "sort_by_score", args, run_sort);
}

}  // namespace tdds::cpu
