#pragma once
// A guard before stb_image: some of its versions write past a table where a JPEG's Huffman tables are too long.

#include <string_view>

namespace tdds {

// Whether a Huffman table of the JPEG has more than its 256 codes. False where the bytes are no JPEG. Segments are found as
// liberally as stb_image finds them, so that rubbish between them hides none.
bool has_overlong_huffman_table(std::string_view bytes);

}  // namespace tdds
