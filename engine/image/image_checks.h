#pragma once
// Checks of an image before stb_image decodes it. stb_image accepts a file that ends anywhere, and verifies
// no checksum. All functions throw Error that names `file` if it is damaged or has a form that stb_image
// would decode wrongly.
//
// Data after the image are ignored in PNG, BMP and JPEG: their images say where they end, and programs
// append data of their own. They are refused in TGA, except what its footer announces, and in PNM, except
// white space: there, nothing else reveals a damaged size.

#include <string>
#include <string_view>

namespace tdds {

// Checks the order, lengths and CRC-32 of the chunks, and the number and Adler-32 of the compressed pixels.
void check_png(std::string_view bytes, const std::string& file);
// Check the header, the palette, and that no row is missing.
void check_bmp(std::string_view bytes, const std::string& file);
void check_tga(std::string_view bytes, const std::string& file);

// Returns a sound PNG with its palette extended to 256 colours by black, as libpng does; stb_image would
// read uninitialised memory for the missing colours. Empty if nothing has to be changed.
std::string with_whole_palette(std::string_view png);

// Whether a sound TGA is stored from right to left, which stb_image ignores.
bool is_mirrored_tga(std::string_view bytes);

}  // namespace tdds
