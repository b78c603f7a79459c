#pragma once
// The workspace of batch norm's CPU kernels.

#include <cstdint>

#include "kernels/numerics/round_up.h"
#include "kernels/ops/batchnorm.h"

namespace tdds::cpu {

// Channels summed at a time: their accumulators stay in the L1 cache.
inline constexpr std::int64_t kTile = 256;
// Channels whose partial sums one thread merges.
inline constexpr std::int64_t kMergeChannels = 16;

// The partial sums of each block of rows, [blocks][2][channels], then the coefficients of the second pass.
struct BatchNormWorkspace {
  BatchNormWorkspace(void* memory, std::int64_t rows, std::int32_t channel_count)
      : channels(channel_count),
        block_rows(batchnorm_block_rows(channel_count)),
        blocks(ceil_div(rows, block_rows)),
        sums(static_cast<double*>(memory)),
        coefficients(reinterpret_cast<float*>(sums + blocks * 2 * channels)) {}

  double* first(std::int64_t block) const { return sums + block * 2 * channels; }
  double* second(std::int64_t block) const { return first(block) + channels; }
  float* coefficient(int i) const { return coefficients + i * channels; }

  std::int64_t channels, block_rows, blocks;
  double* sums;
  float* coefficients;
};

}  // namespace tdds::cpu
