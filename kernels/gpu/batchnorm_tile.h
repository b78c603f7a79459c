#pragma once
// How the batch normalisation kernels divide an activation [M, C] among blocks and threads, and how they
// merge what the blocks find. A block processes a tile of rows and channels. Its threads are two-dimensional:
// x runs over the channels, kWide per thread, and y over the rows, which the threads step through.
//
// Three merges lead from threads to a channel: the thread rows of a tile; the tiles of a group, by the block
// of the group that ends last; the groups, by every block of the kernel that applies the result. Each one is
// done by several threads per channel, in a fixed order of items.

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
// The most rows of a thread of a tile of kApplyRows: all are loaded before the first is used.
inline constexpr int kApplyRowsOfThread = kApplyRows * kTileColumns / kTileThreads;
inline constexpr std::int64_t kGroupTiles = 16;
inline constexpr std::uint32_t kParts = 4;
static_assert(kMaxTileBlocks / kGroupTiles == kBatchNormGroups);

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

// A thread's part of a tile: kWide channels of every block_dim().y-th row, as indices into the activation.
struct TileSpan {
  std::int64_t first, last, step;  // first, first + step, ... below last
  std::int32_t channel;
  bool inside;  // false past the last channel
};

template <int kWide>
__device__ TileSpan tile_span(std::int64_t tile, std::int64_t tile_rows, std::int64_t rows,
                              std::int32_t channels) {
  const std::int64_t begin = tile * tile_rows, end = begin + tile_rows;
  TileSpan span;
  span.channel = (block_id().y * block_dim().x + thread_id().x) * kWide;
  span.first = (begin + thread_id().y) * channels + span.channel;
  span.last = (end < rows ? end : rows) * channels;
  span.step = static_cast<std::int64_t>(block_dim().y) * channels;
  span.inside = span.channel < channels;
  return span;
}

// Calls take(fetch(at)) for each index of a thread. kAtOnce of them are fetched before the first is taken, so
// that their loads overlap. The remaining ones are fetched half as many at a time, and so on.
template <int kAtOnce, class Fetch, class Take>
__device__ void for_each_row(TileSpan span, Fetch fetch, Take take) {
  for (; span.first + (kAtOnce - 1) * span.step < span.last; span.first += kAtOnce * span.step) {
    decltype(fetch(span.first)) fetched[kAtOnce];
    for (int i = 0; i < kAtOnce; ++i) fetched[i] = fetch(span.first + i * span.step);
    for (int i = 0; i < kAtOnce; ++i) take(fetched[i]);
  }
  if constexpr (kAtOnce > 1) for_each_row<kAtOnce / 2>(span, fetch, take);
}

// A thread's part of a merge: one channel of the block, and every `parts`-th item.
template <std::uint32_t kOf = kParts>
struct ChannelPart {
  static constexpr std::uint32_t parts = kOf;
  std::uint32_t local, width;  // the channel's place in the block, and the block's channels
  std::int32_t channel;
  std::uint32_t part;
  bool active;

  // The thread that writes what was merged.
  __device__ bool writes() const { return active && part == 0; }
};

template <int kWide, std::uint32_t kOf = kParts>
__device__ ChannelPart<kOf> channel_part(std::int32_t channels) {
  ChannelPart<kOf> at;
  at.width = block_dim().x * kWide;
  at.local = rank_in_block() % at.width;
  at.part = rank_in_block() / at.width;
  at.channel = static_cast<std::int32_t>(block_id().y * at.width + at.local);
  at.active = at.part < kOf && at.channel < channels;
  return at;
}

// The memory through which the threads of a merge exchange their sums. Two consecutive sums use different
// halves, so that one barrier a sum suffices.
inline constexpr std::size_t kMergeBytes = 2 * kTileThreads * sizeof(float);

// The sum of `share` over the parts of each channel. All threads of the block call it.
template <std::uint32_t kOf>
__device__ float sum_of_parts(const ChannelPart<kOf>& at, float share, int half) {
  float* shares = shared<float>(kTileThreads, half * kTileThreads * sizeof(float));
  shares[rank_in_block()] = share;
  sync_block();
  float sum = 0;
  for (std::uint32_t part = 0; part < at.parts; ++part) sum += shares[part * at.width + at.local];
  return sum;
}

// The mean and the sum of squared deviations of `count` values.
struct Moments {
  float count, mean, squares;
};

// The moments of all items: about the mean of the means, so that nothing cancels. fetch(item) has those of an
// item. All threads of the block call it.
template <std::uint32_t kOf, class Fetch>
__device__ Moments merge_moments(const ChannelPart<kOf>& at, std::int32_t items, float count, Fetch fetch) {
  float sum = 0, squares = 0;
  if (at.active)
    for (std::int32_t item = at.part; item < items; item += at.parts) {
      const Moments moments = fetch(item);
      sum += moments.count * moments.mean;
    }
  const float mean = sum_of_parts(at, sum, 0) / count;
  if (at.active)
    for (std::int32_t item = at.part; item < items; item += at.parts) {
      const Moments moments = fetch(item);
      const float off = moments.mean - mean;
      squares += moments.squares + moments.count * off * off;
    }
  return {count, mean, sum_of_parts(at, squares, 1)};
}

struct Sums {
  float first, second;
};

// The sums of all items. All threads of the block call it.
template <std::uint32_t kOf, class Fetch>
__device__ Sums merge_sums(const ChannelPart<kOf>& at, std::int32_t items, Fetch fetch) {
  Sums sums{0, 0};
  if (at.active)
    for (std::int32_t item = at.part; item < items; item += at.parts) {
      const Sums more = fetch(item);
      sums.first += more.first;
      sums.second += more.second;
    }
  return {sum_of_parts(at, sums.first, 0), sum_of_parts(at, sums.second, 1)};
}

// What the threads of a tile exchange, behind the memory of the merges: two kinds of values, kWide of each
// per thread. The stride keeps the threads of a merge in different banks.
template <int kWide>
struct TileExchange {
  static constexpr std::uint32_t kStride = kTileThreads + kWarpSize / kWide;
  static constexpr std::size_t kFloats = 2 * kWide * kStride;
  static constexpr std::size_t kBytes = kMergeBytes + kFloats * sizeof(float);

  float* values = shared<float>(kFloats, kMergeBytes);

  __device__ void put(const Floats<kWide>& first, const Floats<kWide>& second) const {
    for (int j = 0; j < kWide; ++j) {
      values[j * kStride + rank_in_block()] = first.v[j];
      values[(kWide + j) * kStride + rank_in_block()] = second.v[j];
    }
  }
  // The values that thread row y has put for a channel.
  template <std::uint32_t kOf>
  __device__ Sums get(const ChannelPart<kOf>& at, std::uint32_t y) const {
    const std::uint32_t rank = y * block_dim().x + at.local / kWide, j = at.local % kWide;
    return {values[j * kStride + rank], values[(kWide + j) * kStride + rank]};
  }
};

// Coefficients of the block's channels, behind the memory of the merges.
template <int kWide>
struct Coefficients {
  static constexpr std::uint32_t kMost = kTileColumns * kWide;
  static constexpr std::size_t bytes(int kinds) { return kMergeBytes + kinds * kMost * sizeof(float); }

  __device__ static float* of(int kind) {
    return shared<float>(kMost, kMergeBytes + kind * kMost * sizeof(float));
  }
  __device__ static Floats<kWide> get(int kind) {
    Floats<kWide> values;
    for (int j = 0; j < kWide; ++j) values.v[j] = of(kind)[thread_id().x * kWide + j];
    return values;
  }
};

// What the blocks of a statistics kernel leave: two sums per channel of each tile and of each group of
// group_tiles tiles, [tiles][2][C] and [groups][2][C] in float, and the groups' tickets.
struct BatchNormScratch {
  float *tiles, *groups;
  std::uint32_t* tickets;
  std::int64_t rows, tile_rows;
  std::int32_t channels, tile_count, group_count, group_tiles;

  __device__ static std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

  __device__ std::int64_t rows_of_tile(std::int64_t tile) const {
    return least(tile_rows, rows - tile * tile_rows);
  }
  __device__ std::int64_t rows_of_group(std::int64_t group) const {
    const std::int64_t group_rows = group_tiles * tile_rows;
    return least(group_rows, rows - group * group_rows);
  }
  __device__ std::int32_t tiles_of_group(std::int64_t group) const {
    return static_cast<std::int32_t>(least(group_tiles, tile_count - group * group_tiles));
  }
  __device__ Sums get(const float* from, std::int64_t item, std::int32_t channel) const {
    const float* at = from + item * 2 * channels + channel;
    return {at[0], at[channels]};
  }
  __device__ void put(float* to, std::int64_t item, std::int32_t channel, Sums sums) const {
    float* at = to + item * 2 * channels + channel;
    at[0] = sums.first;
    at[channels] = sums.second;
  }
  // Whether the block's tile is the last of its group, so that it merges the group. All threads call it.
  __device__ bool ends_group(std::int64_t group) const {
    return last_of_group(tickets + block_id().y * group_count + group, tiles_of_group(group));
  }
};

// There are never more tiles than the contract's blocks of rows, nor more groups than tiles.
inline BatchNormScratch batchnorm_scratch(const char* name, void* workspace, std::uint32_t* tickets,
                                          std::int64_t rows, std::int32_t channels, const TileGrid& grid) {
  const auto tiles = static_cast<std::int32_t>(grid.grid.x);
  const auto groups = static_cast<std::int32_t>(ceil_div(std::int64_t{tiles}, kGroupTiles));
  if (groups * static_cast<std::size_t>(grid.grid.y) > batchnorm_tickets(channels))
    reject(name, "there are fewer tickets than groups of tiles");
  auto* memory = static_cast<float*>(workspace);
  return {memory, memory + std::int64_t{2} * tiles * channels, tickets, rows, grid.rows, channels, tiles,
          groups, static_cast<std::int32_t>(kGroupTiles)};
}

// Partial results that a convolution or all ranks have left, each group as a tile of its own.
inline BatchNormScratch scratch_of(const BatchNormPartials& partials, std::int64_t own_rows,
                                   std::int32_t channels) {
  const std::int64_t rows = partials.rows_of(own_rows);
  const auto groups = static_cast<std::int32_t>(ceil_div(rows, partials.group_rows));
  return {nullptr,
          const_cast<float*>(partials.groups),
          nullptr,
          rows,
          partials.group_rows,
          channels,
          groups,
          groups,
          1};
}

// The launch of a kernel that merges the groups to one: a block per width of channels.
inline TileGrid merge_grid(std::int64_t rows, std::int32_t channels, int wide) {
  return tile_grid(rows, channels, wide, rows, 1);
}

// The normalised value. Forward and backward must agree on its sign, so nothing is left to the compiler.
__device__ inline float normalized(float x, float mean, float scale, float bias) {
  return fmaf(x - mean, scale, bias);
}

// The value after rounding to the storage type.
template <class T>
__device__ float rounded(float value) {
  return to_float(from_float<T>(value));
}

}  // namespace tdds::TDDS_GPU
