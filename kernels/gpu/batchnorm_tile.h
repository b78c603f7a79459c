#pragma once
// How the batch normalisation kernels divide an activation [M, C] among blocks and threads, and the layout of
// their scratch memory. A block processes a tile of rows and channels. Its threads are two-dimensional: x
// runs over the channels, kWide per thread, and y over the rows, which the threads step through.

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/vectors.h"
#include "kernels/numerics/round_up.h"
#include "kernels/ops/batchnorm.h"

namespace tdds::TDDS_GPU {

inline constexpr std::uint32_t kTileThreads = 256;
inline constexpr std::uint32_t kTileColumns = 8;  // the most threads in x: 128 bytes of a row
// Limits the tiles whose results are merged: on 128 multiprocessors all their blocks run at once, three on
// each.
inline constexpr std::uint32_t kTileBlocksPerMultiprocessor = 3;
inline constexpr std::int64_t kMinTileRows = 128, kMaxTileBlocks = kTileBlocksPerMultiprocessor * 128;
inline constexpr std::int64_t kApplyRows = 128, kAnyBlocks = std::int64_t{1} << 40;

// The launch of a tiled kernel.
struct TileGrid {
  Dim3 grid, block;
  std::int64_t rows;  // of a tile
};

// Tiles of at least `least_rows` rows, in at most `most_blocks` blocks unless the channels alone need more.
inline TileGrid tile_grid(std::int64_t rows, std::int32_t channels, int wide, std::int64_t least_rows,
                          std::int64_t most_blocks) {
  const std::int64_t vectors = channels / wide;
  std::uint32_t columns = 1;
  while (columns < kTileColumns && columns < vectors) columns *= 2;
  TileGrid tiles;
  tiles.block = {columns, kTileThreads / columns};
  const std::int64_t across = blocks_for(vectors, columns);
  const std::int64_t most_tiles = most_blocks > across ? most_blocks / across : 1;
  tiles.rows = ceil_div(rows, most_tiles);
  if (tiles.rows < least_rows) tiles.rows = least_rows;
  tiles.grid = {blocks_for(rows, tiles.rows), static_cast<std::uint32_t>(across)};
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

// Calls take(row, fetch(row)) for each row of a thread. kAtOnce rows are fetched before the first is taken,
// so that their loads overlap. The remaining rows are fetched half as many at a time, and so on.
template <int kAtOnce, class Fetch, class Take>
__device__ void for_each_row(TileSpan span, Fetch fetch, Take take) {
  for (; span.first + (kAtOnce - 1) * span.step < span.last; span.first += kAtOnce * span.step) {
    decltype(fetch(span.first)) fetched[kAtOnce];
    for (int i = 0; i < kAtOnce; ++i) fetched[i] = fetch(span.first + i * span.step);
    for (int i = 0; i < kAtOnce; ++i) take(span.first + i * span.step, fetched[i]);
  }
  if constexpr (kAtOnce > 1) for_each_row<kAtOnce / 2>(span, fetch, take);
}

// The values that the threads of a tile exchange: two kinds, kWide of each per thread. Values of the same
// kind and index are adjacent across threads.
template <int kWide>
struct TileExchange {
  float* values = shared<float>(2 * kWide * threads_in_block());

  __device__ float& at(int which, int j, std::uint32_t rank) const {
    return values[(which * kWide + j) * threads_in_block() + rank];
  }
  __device__ void put(const Floats<kWide>& first, const Floats<kWide>& second) const {
    for (int j = 0; j < kWide; ++j) {
      at(0, j, rank_in_block()) = first.v[j];
      at(1, j, rank_in_block()) = second.v[j];
    }
  }
};

// Joins the thread rows of a tile into the first, halving their number in each step: join(half, exchange,
// rank) reads the values of the thread with that rank, `half` thread rows further on.
template <int kWide, class Join>
__device__ void join_thread_rows(Floats<kWide>& first, Floats<kWide>& second, Join join) {
  const TileExchange<kWide> exchange;
  exchange.put(first, second);
  for (std::uint32_t half = block_dim().y / 2; half > 0; half /= 2) {
    sync_block();
    if (thread_id().y < half) {
      join(half, exchange, rank_in_block() + half * block_dim().x);
      exchange.put(first, second);
    }
  }
}

// The launch that merges tiles: one block per channel, at most kTilesPerThread tiles per thread.
inline constexpr int kTilesPerThread = 4;
inline constexpr std::uint32_t kMergeThreads = kMaxTileBlocks / kTilesPerThread;
inline Dim3 merge_block(std::uint32_t tiles) {
  const std::uint32_t threads = round_up(tiles, kWarpSize);
  return {threads < kMergeThreads ? threads : kMergeThreads};
}

// Partial results of the tiles, [2][C][tiles] in double, then coefficients, [3][C] in float. There are never
// more tiles than the contract's blocks of rows.
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
  const std::int64_t block = batchnorm_block_rows(channels), blocks = ceil_div(rows, block);
  auto* partial = static_cast<double*>(workspace);
  return {partial, reinterpret_cast<float*>(partial + blocks * 2 * channels), channels, tiles};
}

}  // namespace tdds::TDDS_GPU
