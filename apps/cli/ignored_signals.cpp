// Signals that the program was started to ignore, as SIGHUP under nohup, stay ignored (interrupt.h) even if a
// library takes them for itself while it is loaded: UCX, a library of MPI, does so with SIGHUP. Of a program,
// .preinit_array runs before the initialisers of its libraries, and its own initialisers after them.

#include <cstddef>

#include "apps/cli/interrupt.h"

namespace {

using tdds::kInterruptSignals;
std::array<bool, kInterruptSignals.size()> ignored;

void remember() {
  for (std::size_t i = 0; i < kInterruptSignals.size(); ++i) {
    struct sigaction action {};
    sigaction(kInterruptSignals[i], nullptr, &action);
    ignored[i] = action.sa_handler == SIG_IGN;
  }
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const at_start)() = remember;

[[gnu::constructor]] void restore() {
  for (std::size_t i = 0; i < kInterruptSignals.size(); ++i)
    if (ignored[i]) std::signal(kInterruptSignals[i], SIG_IGN);
}

}  // namespace
