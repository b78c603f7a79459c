#include "apps/interrupt.h"

#include <csignal>

namespace tdds {
namespace {

// A handler can reach nothing but objects of static storage.
volatile std::sig_atomic_t received_signal = 0;

extern "C" void note_signal(int signal) {
  received_signal = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

InterruptRequest::InterruptRequest() {
  received_signal = 0;
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
}

InterruptRequest::~InterruptRequest() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool InterruptRequest::requested() const {
  return received_signal != 0;
}

int InterruptRequest::exit_code() const {
  return 128 + received_signal;
}

}  // namespace tdds
