#pragma once
// Many small images in one PNG.

#include <cstdint>
#include <span>
#include <string>

#include "engine/data/dataset.h"

namespace tdds::report {

struct SpriteSheet {
  int columns = 0, rows = 0;
  int width = 0, height = 0;  // of one image in it, pixels: at most 64 on the longer side
  std::string png;            // bytes
};

// The images of these rows, left to right, then down. Throws Error if there is not enough memory.
SpriteSheet make_sprite_sheet(const ImageSet& set, std::span<const std::int32_t> rows);

}  // namespace tdds::report
