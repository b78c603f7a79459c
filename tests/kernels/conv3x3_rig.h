#pragma once
// Runs the convolutions of kernels/ops/conv3x3.h on simt.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/ops/conv3x3.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/geometry.h"
#include "tests/kernels/conv2d_reference.h"
#include "tests/kernels/simt_rig.h"

namespace tdds::test {

inline constexpr auto kForward = Conv3x3Direction::kForward, kData = Conv3x3Direction::kData;

inline Conv2dSpec spec_of(std::int32_t batch, std::int32_t height, std::int32_t width, std::int32_t channels,
                          std::int32_t out_channels, DType dtype = DType::kF16) {
  return {batch, height, width, channels, out_channels, 3, 3, 1, 1, dtype};
}

inline Conv2dData data_of(const Conv2dSpec& spec, unsigned seed) {
  Conv2dData data = random_data(spec, seed);
  for (std::vector<float>* values : {&data.x, &data.w, &data.dy})
    for (float& value : *values) value = rounded_to(spec.dtype, value);
  return data;
}

inline void prepare(Rig& rig, const Conv2dSpec& spec, Conv3x3Direction direction, Conv3x3Tile tile) {
  ASSERT_TRUE(simt::prepare_conv3x3(rig.stream().device(), conv3x3_shape(spec), direction, tile));
}

// y, which is watched.
inline void* forward(Rig& rig, const Conv2dSpec& spec, Conv3x3Tile tile, const Conv2dData& data,
                     BatchNormMemory moments = {}) {
  prepare(rig, spec, kForward, tile);
  void* y = rig.out<std::byte>("y", y_elements(spec), spec.dtype);
  simt::run(rig.stream(), Conv3x3ForwardArgs{.x = rig.typed(spec.dtype, data.x),
                                             .w = rig.typed(spec.dtype, data.w),
                                             .y = y,
                                             .shape = conv3x3_shape(spec),
                                             .tile = tile,
                                             .moments = moments});
  return y;
}

// dx, which is watched: what it holds before is added if given.
inline void* backward(Rig& rig, const Conv2dSpec& spec, Conv3x3Tile tile, const Conv2dData& data,
                      const std::vector<float>* before = nullptr, const BatchNormGradient& norm = {}) {
  prepare(rig, spec, kData, tile);
  void* dx = before ? rig.typed(spec.dtype, *before) : rig.scratch(x_elements(spec) * 2);
  rig.watch("dx", dx, x_elements(spec), spec.dtype);
  simt::run(rig.stream(), Conv3x3DataArgs{.dy = rig.typed(spec.dtype, data.dy),
                                          .w = rig.typed(spec.dtype, data.w),
                                          .add = before ? dx : nullptr,
                                          .dx = dx,
                                          .shape = conv3x3_shape(spec),
                                          .tile = tile,
                                          .norm = norm});
  return dx;
}

inline std::vector<double> values_of(const Output& output) {
  std::vector<double> values(output.count());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = output.value(i);
  return values;
}

inline bool fits(const Conv2dSpec& spec, Conv3x3Direction direction, Conv3x3Tile tile) {
  const std::vector<Conv3x3Tile> tiles = conv3x3_tiles(spec, direction, kMostSharedBytes);
  return std::find(tiles.begin(), tiles.end(), tile) != tiles.end();
}

inline std::string name_of_tile(const testing::TestParamInfo<Conv3x3Tile>& tile) {
  std::string name = to_string(tile.param);
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

}  // namespace tdds::test
