#pragma once
// What programs print on the standard output. A text that cannot be written, as to a full device, stops no
// work: the program does all that it was asked for, and run_program (apps/cli/cli.h) ends it with exit
// code 1.

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace tdds {

void print_text(std::string_view text);

template <class... Args>
void print_out(fmt::format_string<Args...> format, Args&&... args) {
  print_text(fmt::format(format, std::forward<Args>(args)...));
}

// For the start of a program: where a standard stream is closed (`>&-`), the file that is opened next would
// take its place, and with it all that is printed.
void reserve_standard_streams();

// Writes what is buffered. Returns whether all that was printed so far could be written.
bool flush_output();

}  // namespace tdds
