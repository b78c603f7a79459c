#pragma once
// Texts from outside in files that are UTF-8. A path, the name of a class and the value of a flag may be any
// bytes; JSON and log.txt hold UTF-8 alone. File names, and what lists paths to be opened, keep the bytes.

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace tdds {

// UTF-8: as it is, but each byte that is none of UTF-8's as \xHH, and a backslash in front of xHH as \x5c, so
// that no two texts become one.
std::string utf8_of(std::string_view bytes);
// The inverse.
std::string bytes_of_utf8(std::string_view text);

// utf8_of, and control characters as \xHH too: a line of a log stays one line.
std::string line_of(std::string_view bytes);

// The JSON text, every key and string in it by utf8_of. Not a number becomes null. indent: -1 for one line.
std::string json_text(nlohmann::ordered_json json, int indent = -1);

}  // namespace tdds
