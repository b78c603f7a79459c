#pragma once
// One image file as pixels (stb_image: JPEG, PNG, BMP, PPM and TGA).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// Decodes to size x size pixels of 3 bytes: grey is repeated, transparency dropped, 16 bits cut to 8, CMYK converted.
// An image that is not of this size is scaled until its shorter side has it (engine/dataset_resize.h, in the stored
// colour values) and its middle is cut out; one that is stays byte for byte. The orientation noted in EXIF data is
// applied where exif_rotate is set (engine/exif.h). Throws Error naming `file` when it is empty, damaged, truncated,
// of another format, or announces more than 100 million pixels.
std::vector<std::uint8_t> decode_image(std::string_view bytes, const std::string& file, int size,
                                       bool exif_rotate = false);

// Whether a file of this name is read as an image: .jpg .jpeg .png .bmp .ppm .tga, in any case.
bool has_image_name(const std::string& path);

}  // namespace tdds
