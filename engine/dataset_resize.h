#pragma once
// Scales an image (stb_image_resize, in either of the two versions that distributions carry).

#include <cstdint>
#include <vector>

namespace tdds {

// From width x height to new_width x new_height pixels of 3 bytes, antialiased. Throws Error when memory is short.
std::vector<std::uint8_t> resize_image(const std::uint8_t* pixels, int width, int height, int new_width,
                                       int new_height);

}  // namespace tdds
