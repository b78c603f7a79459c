#pragma once
// How a camera was held: the orientation that a JPEG's EXIF data note, and turning the pixels by it.

#include <cstdint>
#include <string_view>
#include <vector>

namespace tdds {

// 1 (upright) to 8, as EXIF 2.3 numbers them; 1 where the bytes are no JPEG or note nothing that makes sense.
int exif_orientation(std::string_view bytes);

// Turns and mirrors [height,width,3] pixels so that they are upright; swaps width and height where needed.
std::vector<std::uint8_t> turn_upright(const std::uint8_t* pixels, int& width, int& height, int orientation);

}  // namespace tdds
