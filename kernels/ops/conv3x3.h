#pragma once
// Convolutions with 3x3 filters, stride 1 and padding 1, on tensor cores: one of the implementations of
// kernels/ops/conv2d.h on a GPU, which has the formulas. fp16 and bf16 with sums in fp32; channels and
// out_channels are multiples of 64. Not ops of their own; run() launches them (kernels/ops/run.h).
//
// On the way, forward takes the moments of batch norm's forward pass, and the data gradient the sums of its
// backward pass (kernels/ops/batchnorm.h).

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/ops/batchnorm.h"
#include "kernels/ops/conv2d.h"

namespace tdds {

// What a block computes: pixels x channels of the output. The names are those of plans: "own 256x64".
enum class Conv3x3Tile : std::uint8_t { k256x64, k128x128, k128x64 };
inline constexpr std::array kConv3x3Tiles{Conv3x3Tile::k256x64, Conv3x3Tile::k128x128, Conv3x3Tile::k128x64};
const char* to_string(Conv3x3Tile tile);

// How a block divides its tile. Each warp computes pixels / warps_down x columns / warps_across outputs, and
// one of `split` parts of each sum. Filters pass through a ring of `stages` buffers.
struct Conv3x3Layout {
  int pixels, columns;
  int warps_down, warps_across, split;
  int stages;

  constexpr int threads() const { return 32 * warps_down * warps_across * split; }
};
constexpr Conv3x3Layout layout_of(Conv3x3Tile tile) {
  switch (tile) {
    case Conv3x3Tile::k256x64:
      return {.pixels = 256, .columns = 64, .warps_down = 4, .warps_across = 1, .split = 1, .stages = 3};
    case Conv3x3Tile::k128x128:
      return {.pixels = 128, .columns = 128, .warps_down = 2, .warps_across = 2, .split = 1, .stages = 3};
    default:
      return {.pixels = 128, .columns = 64, .warps_down = 2, .warps_across = 2, .split = 2, .stages = 4};
  }
}

// Of the arithmetic. Raise it with every change after which a kernel computes other bits: a run that began
// with another version cannot be continued.
inline constexpr int kConv3x3Version = 1;

enum class Conv3x3Direction : std::uint8_t { kForward, kData };

struct Conv3x3Shape {
  std::int32_t batch, height, width;    // x [B,H,W,C], y [B,H,W,K]
  std::int32_t channels, out_channels;  // C, K
  DType dtype;

  std::int64_t pixels() const { return std::int64_t{batch} * height * width; }
  // Of the sums and of the result.
  std::int32_t terms(Conv3x3Direction direction) const {
    return direction == Conv3x3Direction::kForward ? channels : out_channels;
  }
  std::int32_t columns(Conv3x3Direction direction) const {
    return direction == Conv3x3Direction::kForward ? out_channels : channels;
  }
};
Conv3x3Shape conv3x3_shape(const Conv2dSpec& spec);

// The tiles that can compute a convolution where a block may have `shared_limit` bytes of shared memory, the
// one that is likely to be the fastest first. Empty where there is none.
std::vector<Conv3x3Tile> conv3x3_tiles(const Conv2dSpec& spec, Conv3x3Direction direction,
                                       std::size_t shared_limit);
// The shared memory of a block. At its start, the end of the kernel merges what batch norm needs.
inline constexpr std::size_t kConv3x3MergeBytes = 18688;
std::size_t conv3x3_shared_bytes(const Conv3x3Shape& shape, Conv3x3Direction direction, Conv3x3Tile tile);

struct Conv3x3ForwardArgs {
  const void* x;  // in  [B,H,W,C]
  const void* w;  // in  [K,3,3,C]
  void* y;        // out [B,H,W,K]
  Conv3x3Shape shape;
  Conv3x3Tile tile;
  BatchNormMemory moments = {};  // where the moments of y go; null: they are not taken
};

struct Conv3x3DataArgs {
  const void* dy;   // in  [B,H,W,K]
  const void* w;    // in  [K,3,3,C]
  const void* add;  // in  [B,H,W,C] or null: added before the only rounding; may be dx
  void* dx;         // out [B,H,W,C]; with a norm, its g
  Conv3x3Shape shape;
  Conv3x3Tile tile;
  BatchNormGradient norm = {};  // the layer that made x; without its x, dx is the gradient of x itself
};

// The pixels of each group of tiles for which these leave batch norm a partial result. (BatchNormPartials;
// the groups are at the beginning of its workspace.)
std::int64_t conv3x3_group_rows(const Conv3x3Shape& shape, Conv3x3Tile tile);

// To be called before a kernel is run, where a plan is made and not while a stream records: makes its shared
// memory available. False where the device has less.
namespace simt {
bool prepare_conv3x3(Device& device, const Conv3x3Shape& shape, Conv3x3Direction direction, Conv3x3Tile tile);
}
namespace simt_counted {
bool prepare_conv3x3(Device& device, const Conv3x3Shape& shape, Conv3x3Direction direction, Conv3x3Tile tile);
}
namespace cuda {
bool prepare_conv3x3(Device& device, const Conv3x3Shape& shape, Conv3x3Direction direction, Conv3x3Tile tile);
}

}  // namespace tdds
