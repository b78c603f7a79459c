#pragma once
// stb_image, compiled into this project from its header: with memory that is zero where nothing was written,
// so that no file gives pixels that differ from run to run. JPEG, PNG, BMP and TGA.

#include <string>
#include <string_view>

#include "engine/image/picture.h"

namespace tdds {

// Decodes; grey is repeated, transparency dropped, 16 bits cut to 8. Throws Error naming `file` where it is
// damaged.
Picture stb_decode(std::string_view bytes, const std::string& file);

// Throws that Error, for the reason that stb gave, which may be null or empty.
[[noreturn]] void refuse_undecoded(const std::string& file, const char* reason);

}  // namespace tdds
