#pragma once
// Writes external text to files in UTF-8. A path, the name of a class and the value of a flag may be any
// bytes, but JSON and log.txt hold only UTF-8. File names, and lists of paths to be opened, keep the bytes.

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace tdds {

// Keeps valid UTF-8, and writes every other byte as \xHH. A backslash in front of xHH becomes \x5c, so that
// different texts stay different.
std::string utf8_of(std::string_view bytes);
// The inverse.
std::string bytes_of_utf8(std::string_view text);

// Like utf8_of, but control characters also become \xHH, so that a line of a log stays one line.
std::string line_of(std::string_view bytes);

// The JSON text with utf8_of applied to every key and string. NaN becomes null. indent: -1 for one line.
std::string json_text(nlohmann::ordered_json json, int indent = -1);

}  // namespace tdds
