#pragma once
// A plan whose forward pass and data gradient are the kernels of conv3x3.h where they support the shape. The
// rest is another plan's.

#include <memory>
#include <optional>

#include "kernels/ops/conv3x3.h"

namespace tdds {

// The kernels of one device.
struct Conv3x3Kernels {
  void (*forward)(Stream&, const Conv3x3ForwardArgs&);
  void (*data)(Stream&, const Conv3x3DataArgs&);
};

// What they compute: `data` is dx = ..., `accumulate` dx += ... The kernels of the tiles are prepared.
struct Conv3x3Tiles {
  std::optional<Conv3x3Tile> forward, data, accumulate;
};

// `other` computes the directions without a tile. It is returned itself if there is no tile at all.
std::unique_ptr<Conv2d> with_own_kernels(std::unique_ptr<Conv2d> other, const Conv3x3Kernels& kernels,
                                         const Conv3x3Tiles& tiles);

}  // namespace tdds
