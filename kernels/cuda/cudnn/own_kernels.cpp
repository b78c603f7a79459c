#include "kernels/cuda/cudnn/own_kernels.h"

#include <cuda_runtime.h>

#include "kernels/cuda/check_cuda.h"
#include "kernels/ops/run.h"

namespace tdds {
namespace {

Conv3x3Direction direction_of(ConvDirection direction) {
  return direction == ConvDirection::kForward ? Conv3x3Direction::kForward : Conv3x3Direction::kData;
}

}  // namespace

bool own_kernels_support(const Conv2dSpec& spec, ConvDirection direction) {
  return direction != ConvDirection::kFilter &&
         !conv3x3_tiles(spec, direction_of(direction), kMostSharedBytes).empty();
}

OwnKernels own_kernels_on(CudaDevice& device, bool always) {
  const auto usable = [&device](const Conv2dSpec& spec, ConvDirection direction) {
    std::vector<Conv3x3Tile> tiles;
    if (direction == ConvDirection::kFilter) return tiles;
    device.make_current();
    const Conv3x3Direction of = direction_of(direction);
    for (const Conv3x3Tile tile : conv3x3_tiles(spec, of, kMostSharedBytes))
      if (cuda::prepare_conv3x3(device, conv3x3_shape(spec), of, tile)) tiles.push_back(tile);
    return tiles;
  };
  return {.tiles = usable, .always = always};
}

void run_own(Stream& stream, Conv3x3Tile tile, const Conv2dSpec& spec, ConvDirection direction, void* x,
             const void* w, void* y) {
  const Conv3x3Shape shape = conv3x3_shape(spec);
  if (direction == ConvDirection::kForward)
    return cuda::run(stream, Conv3x3ForwardArgs{.x = x, .w = w, .y = y, .shape = shape, .tile = tile});
  cuda::run(stream, Conv3x3DataArgs{.dy = y,
                                    .w = w,
                                    .add = direction == ConvDirection::kDataAccumulate ? x : nullptr,
                                    .dx = x,
                                    .shape = shape,
                                    .tile = tile});
}

}  // namespace tdds
