#pragma once
// How the batch normalisation kernels share an activation [M, C] among blocks and threads, and where its scratch
// lies. A block takes a tile of rows and channels: its threads stand side by side over the channels (x), kWide of
// them each, and below each other over the rows (y), which they step through.

#include "kernels/batchnorm.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/vectors.h"

namespace tdds::TDDS_GPU {

inline constexpr std::uint32_t kTileThreads = 128;
inline constexpr std::uint32_t kTileColumns = 8;  // the most threads side by side: 128 bytes of a row

// The launch of a tiled kernel.
struct TileGrid {
  Dim3 grid, block;
  std::int64_t rows;  // of a tile
};

// Tiles of at least `least_rows`, in at most `most_tiles` of them over M.
inline TileGrid tile_grid(std::int64_t rows, std::int32_t channels, int wide, std::int64_t least_rows,
                          std::int64_t most_tiles) {
  const std::int64_t vectors = channels / wide;
  std::uint32_t columns = 1;
  while (columns < kTileColumns && columns < vectors) columns *= 2;
  TileGrid tiles;
  tiles.block = {columns, kTileThreads / columns};
  tiles.rows = (rows + most_tiles - 1) / most_tiles;
  if (tiles.rows < least_rows) tiles.rows = least_rows;
  tiles.grid = {blocks_for(rows, tiles.rows), blocks_for(vectors, columns)};
  return tiles;
}

// A thread's part of a tile.
struct TileSpan {
  std::int64_t first, last;  // rows first, first + step, ... below last
  std::int32_t step, channel;
  bool inside;  // false past the last channel
};

template <int kWide>
__device__ TileSpan tile_span(std::int64_t tile, std::int64_t tile_rows, std::int64_t rows,
                              std::int32_t channels) {
  const std::int64_t begin = tile * tile_rows, end = begin + tile_rows;
  TileSpan span;
  span.first = begin + thread_id().y;
  span.last = end < rows ? end : rows;
  span.step = block_dim().y;
  span.channel = (block_id().y * block_dim().x + thread_id().x) * kWide;
  span.inside = span.channel < channels;
  return span;
}

// Partial results of the tiles, [2][C][tiles] in double, then coefficients, [3][C] in float. There are never more
// tiles than the contract's blocks of rows.
struct BatchNormScratch {
  double* partial;
  float* coefficients;
  std::int32_t channels, tiles;

  __device__ double& sum(int which, std::int32_t channel, std::int64_t tile) const {
    return partial[(static_cast<std::int64_t>(which) * channels + channel) * tiles + tile];
  }
  __device__ float* coefficient(int which) const { return coefficients + which * channels; }
};

inline BatchNormScratch batchnorm_scratch(void* workspace, std::int64_t rows, std::int32_t channels,
                                          std::int32_t tiles) {
  const std::int64_t block = batchnorm_block_rows(channels), blocks = (rows + block - 1) / block;
  auto* partial = static_cast<double*>(workspace);
  return {partial, reinterpret_cast<float*>(partial + blocks * 2 * channels), channels, tiles};
}

}  // namespace tdds::TDDS_GPU
