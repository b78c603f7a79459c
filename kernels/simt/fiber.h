#pragma once
// A stack to run a kernel's thread on, and the switch to and from it. Says each switch to AddressSanitizer,
// which otherwise takes another stack for a corrupt one.

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <functional>

namespace tdds::simt {

class Fiber {
 public:
  // The body runs from the first resume() on; suspend() may be called within it, any number of times. It must
  // have returned before the Fiber is destroyed.
  explicit Fiber(std::function<void()> body);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the body on until it suspends or ends.
  void resume();
  // Called by the body: returns to the resume() that runs it.
  void suspend();
  bool ended() const { return ended_; }

 private:
  struct Extent {
    const void* bottom = nullptr;
    std::size_t bytes = 0;
    void* shadow = nullptr;  // AddressSanitizer's, while the stack is left
  };

  std::function<void()> body_;
  Extent own_, caller_extent_;
  boost::context::fiber self_, caller_;
  bool ended_ = false;
};

}  // namespace tdds::simt
