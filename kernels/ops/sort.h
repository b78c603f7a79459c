#pragma once
// Sorts sample ids by ascending score; equal scores keep the order of `ids`. -0 equals 0. Scores must not be
// NaN.

#include <cstddef>
#include <cstdint>

namespace tdds {

class Device;
class Stream;

struct SortArgs {
  const float* score;        // in  [n]
  const std::int32_t* ids;   // in  [n]
  float* sorted_score;       // out [n]
  std::int32_t* sorted_ids;  // out [n]
  std::int64_t n;            // 1 .. 2^31 - 1
  void* workspace;           // sort_workspace_bytes(device, n)
  std::size_t workspace_bytes;
};

std::size_t sort_workspace_bytes(const Device& device, std::int64_t n);
void sort_by_score(Stream& stream, const SortArgs& args);

}  // namespace tdds
