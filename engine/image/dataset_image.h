#pragma once
// Decodes one image file: JPEG, PNG, BMP, TGA, PGM or PPM, recognised by its content.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// Part of the name of every cache of decoded images. It is raised whenever decode_image gives other pixels
// for some file, so that images are decoded again.
inline constexpr int kDecoderVersion = 1;

// Decodes to size x size pixels of 3 bytes: grey is repeated, transparency dropped, 16 bits cut to 8, CMYK
// converted. An image of this size stays byte for byte. Any other is scaled until its shorter side has this
// size (engine/image/dataset_resize.h, in the stored colour values), and its centre is cropped. With
// exif_rotate, the orientation in the EXIF data is applied (engine/image/exif.h). Sets *ends_early to
// whether the file is a JPEG with an end marker whose scan ends before its last pixel; the rest is filled,
// the same at each call. Throws Error that names `file` if it is empty, damaged, truncated
// (engine/image/image_checks.h), of another format, or announces more than 100 million pixels.
std::vector<std::uint8_t> decode_image(std::string_view bytes, const std::string& file, int size,
                                       bool exif_rotate = false, bool* ends_early = nullptr);

// The part of a file's name after its last dot, in lower case (ASCII); empty if there is no dot.
std::string ending_of(const std::string& path);

// Whether a file of this name is read as an image: .jpg .jpeg .png .bmp .ppm .pgm .tga, in any case.
bool has_image_name(const std::string& path);

}  // namespace tdds
