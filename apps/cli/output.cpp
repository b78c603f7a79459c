#include "apps/cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace tdds {

// Not fmt::print, which throws. The stream remembers that a write failed.
void print_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void reserve_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(number, F_GETFD) >= 0) continue;
    // open() takes the lowest free number, which is this one. Using it fails, as for a closed stream.
    if (::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

bool flush_output() {
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

}  // namespace tdds
