#pragma once
// Reads the orientation from a JPEG's EXIF data, and turns pixels upright.

#include <cstdint>
#include <string_view>
#include <vector>

namespace tdds {

// 1 (upright) to 8, as in EXIF 2.3; 1 if the bytes are not a JPEG or have no valid orientation.
int exif_orientation(std::string_view bytes);

// Turns and mirrors [height,width,3] pixels so that they are upright; swaps width and height where needed.
std::vector<std::uint8_t> turn_upright(const std::uint8_t* pixels, int& width, int& height, int orientation);

}  // namespace tdds
