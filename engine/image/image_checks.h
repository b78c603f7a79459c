#pragma once
// What is checked of an image before stb_image decodes it, which takes a file that ends anywhere and looks at
// no checksum. All throw Error naming `file` where it is damaged or of a form that stb_image would decode
// wrongly.
//
// What follows the image in its file: ignored in PNG, BMP and JPEG, whose image says where it ends and to
// which programs add data of theirs; refused in TGA, but for what its footer announces, and in PNM, but for
// white space, as nothing else there shows a size that was damaged.

#include <string>
#include <string_view>

namespace tdds {

// Chunks: their order, lengths and CRC-32; the compressed pixels: their number and Adler-32. `pixels` is
// width * height, for which the caller has a limit.
void check_png(std::string_view bytes, const std::string& file);
// The header, the palette, and that all rows are there.
void check_bmp(std::string_view bytes, const std::string& file);
void check_tga(std::string_view bytes, const std::string& file);

// A sound PNG with a palette of 256 colours in place of a shorter one, black where it had none, as libpng
// takes them: stb_image reads what it never set there. Empty where nothing has to be changed.
std::string with_whole_palette(std::string_view png);

// Whether a sound TGA is stored from right to left, which stb_image ignores.
bool is_mirrored_tga(std::string_view bytes);

}  // namespace tdds
