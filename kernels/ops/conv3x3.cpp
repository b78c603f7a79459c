#include "kernels/ops/conv3x3.h"

#include <algorithm>
#include <limits>

#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::int32_t kRow = 64;            // channels of a row of shared memory
constexpr std::size_t kRowBytes = 2 * kRow;  // of 16-bit values
// With fewer blocks, multiprocessors are idle, so that smaller tiles are faster.
constexpr std::int64_t kEnoughBlocks = 128;

std::int64_t blocks_of(const Conv3x3Shape& shape, Conv3x3Direction direction, Conv3x3Tile tile) {
  const Conv3x3Layout layout = layout_of(tile);
  return ceil_div(shape.pixels(), layout.pixels) * (shape.columns(direction) / layout.columns);
}

}  // namespace

const char* to_string(Conv3x3Tile tile) {
  switch (tile) {
    case Conv3x3Tile::k256x64:
      return "own 256x64";
    case Conv3x3Tile::k128x128:
      return "own 128x128";
    case Conv3x3Tile::k128x64:
      return "own 128x64";
  }
  throw Error("to_string: unknown tile of a convolution");
}

Conv3x3Shape conv3x3_shape(const Conv2dSpec& s) {
  return {s.batch, s.height, s.width, s.channels, s.out_channels, s.dtype};
}

std::size_t conv3x3_shared_bytes(const Conv3x3Shape& shape, Conv3x3Direction direction, Conv3x3Tile tile) {
  const Conv3x3Layout layout = layout_of(tile);
  const std::size_t halo = layout.pixels + 2 * static_cast<std::size_t>(shape.width) + 2;
  const std::size_t buffers = shape.terms(direction) > kRow ? 2 : 1;
  const std::size_t filters = static_cast<std::size_t>(layout.stages) * layout.columns;
  const std::size_t values = static_cast<std::size_t>(layout.pixels) * layout.columns;
  const std::size_t products = (filters + buffers * halo + 1) * kRowBytes;
  const std::size_t results = kConv3x3MergeBytes + values * 2 + values * sizeof(float) * (layout.split - 1);
  return std::max(products, results);
}

std::vector<Conv3x3Tile> conv3x3_tiles(const Conv2dSpec& spec, Conv3x3Direction direction,
                                       std::size_t shared_limit) {
  const Conv3x3Shape shape = conv3x3_shape(spec);
  const bool supported = spec.filter_h == 3 && spec.filter_w == 3 && spec.stride == 1 && spec.padding == 1 &&
                         (spec.dtype == DType::kF16 || spec.dtype == DType::kBf16) &&
                         spec.channels % kRow == 0 && spec.out_channels % kRow == 0;
  // Pixels, with those of the last tile and its halo, are counted in 32 bits.
  constexpr std::int64_t kMostPixels = std::numeric_limits<std::int32_t>::max() / 2;
  if (!supported || shape.pixels() > kMostPixels) return {};
  std::vector<Conv3x3Tile> tiles;
  for (const Conv3x3Tile tile : kConv3x3Tiles)
    if (shape.columns(direction) % layout_of(tile).columns == 0 &&
        conv3x3_shared_bytes(shape, direction, tile) <= shared_limit)
      tiles.push_back(tile);
  const auto blocks = [&](Conv3x3Tile tile) {
    return std::min(blocks_of(shape, direction, tile), kEnoughBlocks);
  };
  std::stable_sort(tiles.begin(), tiles.end(),
                   [&](Conv3x3Tile a, Conv3x3Tile b) { return blocks(a) > blocks(b); });
  return tiles;
}

std::int64_t conv3x3_group_rows(const Conv3x3Shape& shape, Conv3x3Tile tile) {
  const std::int64_t tile_rows = layout_of(tile).pixels;
  return ceil_div(ceil_div(shape.pixels(), tile_rows), kBatchNormGroups) * tile_rows;
}

}  // namespace tdds
