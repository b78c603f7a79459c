#include "tdds/statistics/score_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ops/sort.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {

namespace {

void check_no_nan(std::span<const float> score) {
  for (std::size_t id = 0; id < score.size(); ++id)
    check(!std::isnan(score[id]), "the score of sample {} is not a number", id);
}

}  // namespace

std::vector<std::int64_t> order_by_score(std::span<const float> score) {
  check_no_nan(score);
  std::vector<std::int64_t> ids(score.size());
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  std::stable_sort(ids.begin(), ids.end(), [&](std::int64_t a, std::int64_t b) {
    return score[static_cast<std::size_t>(a)] < score[static_cast<std::size_t>(b)];
  });
  return ids;
}

std::vector<std::int64_t> order_by_score(Device& device, std::span<const float> score) {
  if (score.empty()) return {};
  check_no_nan(score);
  const auto n = static_cast<std::int64_t>(score.size());
  std::vector<std::int32_t> ids(score.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto stream = device.make_stream();
  const std::size_t workspace_bytes = sort_workspace_bytes(device, n);
  const DeviceMemory scores(device, score.size_bytes(), "scores"),
      places(device, 4 * ids.size(), "sample ids");
  const DeviceMemory sorted_scores(device, score.size_bytes(), "sorted scores");
  const DeviceMemory sorted(device, 4 * ids.size(), "sorted sample ids");
  const DeviceMemory workspace(device, workspace_bytes, "the workspace of a sort");
  stream->upload(scores.data(), score.data(), score.size_bytes());
  stream->upload(places.data(), ids.data(), places.bytes());
  sort_by_score(*stream, {.score = scores.get<float>(),
                          .ids = places.get<std::int32_t>(),
                          .sorted_score = sorted_scores.get<float>(),
                          .sorted_ids = sorted.get<std::int32_t>(),
                          .n = n,
                          .workspace = workspace.data(),
                          .workspace_bytes = workspace_bytes});
  stream->synchronize();  // before `ids` is written again
  stream->download(ids.data(), sorted.data(), sorted.bytes());
  stream->synchronize();
  return {ids.begin(), ids.end()};
}

}  // namespace tdds
