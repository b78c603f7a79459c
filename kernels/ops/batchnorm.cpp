#include "kernels/batchnorm.h"

#include <algorithm>

namespace tdds {

std::int64_t batchnorm_block_rows(std::int32_t channels) {
  // 32 KiB of fp32 stay in the cache between the two looks at a block; at most 128 rows keep its fp32 sums
  // short, at least 16 the partial sums few.
  constexpr std::int64_t kBlockElements = 8192;
  return std::clamp<std::int64_t>(kBlockElements / channels, 16, 128);
}

std::size_t batchnorm_workspace_bytes(std::int64_t rows, std::int32_t channels) {
  const std::int64_t block = batchnorm_block_rows(channels);
  const std::int64_t blocks = (rows + block - 1) / block;
  return static_cast<std::size_t>(channels) *
         (static_cast<std::size_t>(blocks) * 2 * sizeof(double) + 3 * sizeof(float));
}

}  // namespace tdds
