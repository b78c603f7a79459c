#pragma once
// Printing on the standard output. If it cannot be written, for example to a full device, the program still
// finishes its work, and run_program (apps/cli/cli.h) returns exit code 1.

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace tdds {

void print_text(std::string_view text);

template <class... Args>
void print_out(fmt::format_string<Args...> format, Args&&... args) {
  print_text(fmt::format(format, std::forward<Args>(args)...));
}

// Call it at the start of a program. If a standard stream is closed (`>&-`), the next file that is opened
// would take its place and receive everything that is printed.
void reserve_standard_streams();

// Flushes the buffer. Returns whether everything printed so far could be written.
bool flush_output();

}  // namespace tdds
