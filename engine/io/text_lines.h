#pragma once
// The lines of a text file that may have been written on Windows.

#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// Each without its end, "\n" or "\r\n", and the first without a UTF-8 byte order mark. They lie in `text`. An
// end behind the last line begins no further one.
std::vector<std::string_view> lines_of(std::string_view text);

// The lines that are not empty: a name each.
std::vector<std::string> names_of(std::string_view text);

}  // namespace tdds
