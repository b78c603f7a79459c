#pragma once
// Signals that ask a program to save and end: Ctrl-C, SIGTERM, SIGHUP (the terminal is gone) and SIGUSR1 (a
// job's time is nearly over).

#include <array>
#include <csignal>
#include <string>

namespace tdds {

inline constexpr std::array kInterruptSignals{SIGINT, SIGTERM, SIGHUP, SIGUSR1};

// Installs the handlers for its lifetime; at most one lives at a time. The first of these signals is the
// request. A second SIGINT or SIGTERM ends the process at once. A signal that was ignored when the program
// started, as SIGHUP is under nohup, stays ignored (ignored_signals.cpp).
class InterruptRequest {
 public:
  InterruptRequest();
  InterruptRequest(const InterruptRequest&) = delete;
  InterruptRequest& operator=(const InterruptRequest&) = delete;
  ~InterruptRequest();  // restores the previous handlers

  bool requested() const;
  // 128 + the signal's number: 129 for SIGHUP, 130 for Ctrl-C, 138 for SIGUSR1, 143 for SIGTERM. Meaningful
  // once requested.
  int exit_code() const;
};

// For long work that can stop at any time: throws Interrupted (apps/cli/cli.h) with `sentence` if the active
// InterruptRequest was requested.
void heed_interrupt(const std::string& sentence);

}  // namespace tdds
