#pragma once
// One image file as pixels (stb_image: JPEG, PNG, BMP, PPM and TGA).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// Decodes to size x size pixels of 3 bytes: grey is repeated, transparency dropped, 16 bits cut to 8, CMYK converted.
// An image that is not of this size is scaled until its shorter side has it (an antialiased filter in the
// stored colour values) and its middle is cut out; one that is stays byte for byte. The rotation noted in EXIF
// data is not applied. Resized pixels may differ in the last bit between versions of stb.
// Throws Error naming `file` when it is empty, damaged, truncated, of another format, or announces more than
// 100 million pixels.
std::vector<std::uint8_t> decode_image(std::string_view bytes, const std::string& file, int size);

// Whether a file of this name is read as an image: .jpg .jpeg .png .bmp .ppm .tga, in any case.
bool has_image_name(const std::string& path);

}  // namespace tdds
