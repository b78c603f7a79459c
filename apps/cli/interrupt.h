#pragma once
// Ctrl-C and SIGTERM as a request: the first one sets a flag that the training loop reads between steps, the
// second one ends the process at once.

namespace tdds {

// Installs the handlers for its lifetime; at most one lives at a time.
class InterruptRequest {
 public:
  InterruptRequest();
  InterruptRequest(const InterruptRequest&) = delete;
  InterruptRequest& operator=(const InterruptRequest&) = delete;
  ~InterruptRequest();

  bool requested() const;
  // 128 + the signal's number: 130 for Ctrl-C, 143 for SIGTERM. Meaningful once requested.
  int exit_code() const;
};

}  // namespace tdds
