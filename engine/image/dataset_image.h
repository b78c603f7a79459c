#pragma once
// One image file as pixels: JPEG, PNG, BMP, TGA, PGM and PPM, by its content.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// Part of the name of every cache of decoded images: raised whenever decode_image gives other pixels for some
// file, so that they are decoded again.
inline constexpr int kDecoderVersion = 1;

// Decodes to size x size pixels of 3 bytes: grey is repeated, transparency dropped, 16 bits cut to 8, CMYK
// converted. An image that is not of this size is scaled until its shorter side has it
// (engine/image/dataset_resize.h, in the stored colour values) and its middle is cut out; one that is stays
// byte for byte. The orientation noted in EXIF data is applied where exif_rotate is set
// (engine/image/exif.h). Sets *ends_early to whether the file is a JPEG whose scan ends before its last
// pixel, though its end marker is there: the rest is filled, the same at each call. Throws Error naming
// `file` when it is empty, damaged, truncated (engine/image/image_checks.h), of another format, or announces
// more than 100 million pixels.
std::vector<std::uint8_t> decode_image(std::string_view bytes, const std::string& file, int size,
                                       bool exif_rotate = false, bool* ends_early = nullptr);

// What follows the last dot of a file's name, in lower case (ASCII); empty where there is no dot.
std::string ending_of(const std::string& path);

// Whether a file of this name is read as an image: .jpg .jpeg .png .bmp .ppm .pgm .tga, in any case.
bool has_image_name(const std::string& path);

}  // namespace tdds
