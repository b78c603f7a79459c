#pragma once
// The font that the build found (CMake variable TDDS_FONT), carried inside the program.

#include <span>

namespace tdds {

std::span<const unsigned char> font_file();  // the bytes of a .ttf file

}  // namespace tdds
