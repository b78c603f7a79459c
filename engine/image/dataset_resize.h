#pragma once
// Scales an image by a triangle filter that widens with the reduction: bilinear with antialiasing, as
// torchvision and Pillow resize. It uses integer arithmetic, so the bits are the same everywhere.

#include <cstdint>
#include <vector>

namespace tdds {

// Resizes from width x height to new_width x new_height pixels of 3 bytes; every extent is at least 1.
std::vector<std::uint8_t> resize_image(const std::uint8_t* pixels, int width, int height, int new_width,
                                       int new_height);

}  // namespace tdds
