#pragma once
// The lines of a text file that may have been written on Windows.

#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// The lines of `text`, without their ends, "\n" or "\r\n", and without a UTF-8 byte order mark at the start.
// They point into `text`. An end after the last line does not begin another one.
std::vector<std::string_view> lines_of(std::string_view text);

// The lines that are not empty, as names.
std::vector<std::string> names_of(std::string_view text);

}  // namespace tdds
