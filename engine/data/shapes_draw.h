#pragma once
// One `shapes` image: the parameters that Philox draws for it, and their rendering. Lengths are in eighths of
// a pixel, the difficulty in 1/1024, colours in 0 .. 255; all arithmetic is on integers.

#include <array>
#include <cstdint>
#include <vector>

namespace tdds {

constexpr int kShapeSide = 32;
constexpr int kShapeClasses = 10;
extern const std::array<const char*, kShapeClasses> kShapeNames;

using ShapeColour = std::array<int, 3>;

struct ShapePatch {
  int x, y, radius;
  ShapeColour colour;
};

struct ShapeLook {
  int difficulty;    // 0 .. 1024
  int x, y, radius;  // of the figure
  int rotation;      // tan(angle / 2) in 1/64
  ShapeColour figure, background, far_background;
  int slope_x, slope_y;             // the background fades along (slope_x, slope_y), each -8 .. 8
  std::array<int, 25> blobs;        // brightness added at the nodes of a 5x5 grid, linear between them
  std::vector<ShapePatch> patches;  // drawn over the figure
  int noise;                        // standard deviation of each channel, in 1/16
};

// The look of sample `id` of a split (0 train, 1 test).
ShapeLook draw_look(std::uint64_t seed, std::uint32_t split, std::uint64_t id);

// Writes kShapeSide x kShapeSide pixels of 3 bytes. The noise is that of sample `noise_id`.
void render_shape(const ShapeLook& look, int shape_class, std::uint64_t seed, std::uint32_t split,
                  std::uint64_t noise_id, std::uint8_t* pixels);

// Adds noise of `sixteenths` / 16 standard deviation, keyed by `id`, other than render_shape's.
void add_faint_noise(std::uint64_t seed, std::uint32_t split, std::uint64_t id, int sixteenths,
                     std::uint8_t* pixels);

}  // namespace tdds
