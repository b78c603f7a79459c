#pragma once
// Decodes binary PGM and PPM (P5, P6), because stb_image ignores their maximum value and their byte order.

#include <string>
#include <string_view>

#include "engine/image/picture.h"

namespace tdds {

// Repeats grey, and scales values from 0 .. the file's maximum to 0 .. 255. Throws Error that names `file`
// if it is damaged, ends early, or has data other than white space after its pixels.
Picture decode_pnm(std::string_view bytes, const std::string& file);

}  // namespace tdds
