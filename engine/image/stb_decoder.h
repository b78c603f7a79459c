#pragma once
// stb_image for JPEG, PNG, BMP and TGA, compiled from its header. It allocates zeroed memory, so that no
// file gives pixels that differ from run to run.

#include <string>
#include <string_view>

#include "engine/image/picture.h"

namespace tdds {

// Repeats grey, drops transparency and cuts 16 bits to 8. Throws Error that names `file` if it is damaged.
Picture stb_decode(std::string_view bytes, const std::string& file);

// Throws that Error, for the reason that stb gave, which may be null or empty.
[[noreturn]] void refuse_undecoded(const std::string& file, const char* reason);

}  // namespace tdds
