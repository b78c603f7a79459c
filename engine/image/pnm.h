#pragma once
// Binary PGM and PPM (P5, P6), read here: stb_image takes no note of their largest value, nor of their byte
// order.

#include <string>
#include <string_view>

#include "engine/image/picture.h"

namespace tdds {

// Decodes; grey is repeated, and values are scaled from 0 .. the largest one to 0 .. 255. Throws Error naming
// `file` where it is damaged, ends early or goes on after its pixels, but for white space.
Picture decode_pnm(std::string_view bytes, const std::string& file);

}  // namespace tdds
