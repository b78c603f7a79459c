#include "apps/cli/interrupt.h"

#include <cstddef>

#include "apps/cli/cli.h"

namespace tdds {
namespace {

// A signal handler can only access objects of static storage.
volatile std::sig_atomic_t received_signal = 0;
std::array<struct sigaction, kInterruptSignals.size()> before;

struct sigaction action_of(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // a write in progress continues
  sigemptyset(&action.sa_mask);
  return action;
}

extern "C" void note_signal(int signal) {
  if (received_signal == 0) received_signal = signal;
  // SIGHUP and SIGUSR1 may arrive more than once when a terminal or a job ends, so they never stop the
  // saving.
  if (signal != SIGINT && signal != SIGTERM) return;
  const struct sigaction at_once = action_of(SIG_DFL);
  for (std::size_t i = 0; i < kInterruptSignals.size(); ++i)
    if ((kInterruptSignals[i] == SIGINT || kInterruptSignals[i] == SIGTERM) &&
        before[i].sa_handler != SIG_IGN)
      sigaction(kInterruptSignals[i], &at_once, nullptr);
}

}  // namespace

InterruptRequest::InterruptRequest() {
  received_signal = 0;
  const struct sigaction noting = action_of(note_signal);
  for (std::size_t i = 0; i < kInterruptSignals.size(); ++i) {
    sigaction(kInterruptSignals[i], nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN) sigaction(kInterruptSignals[i], &noting, nullptr);
  }
}

InterruptRequest::~InterruptRequest() {
  for (std::size_t i = 0; i < kInterruptSignals.size(); ++i)
    sigaction(kInterruptSignals[i], &before[i], nullptr);
  received_signal = 0;
}

bool InterruptRequest::requested() const {
  return received_signal != 0;
}

int InterruptRequest::exit_code() const {
  return 128 + received_signal;
}

void heed_interrupt(const std::string& sentence) {
  if (received_signal != 0) throw Interrupted(sentence, 128 + received_signal);
}

}  // namespace tdds
