#pragma once
// A stack on which a thread of a kernel runs, and the switch to and from it. Announces each switch to
// AddressSanitizer, which otherwise reports the other stack as corrupt.

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <functional>

namespace tdds::simt {

class Fiber {
 public:
  // The body starts at the first resume() and may call suspend() any number of times. It must have returned
  // before the Fiber is destroyed.
  explicit Fiber(std::function<void()> body);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Continues the body until it suspends or ends.
  void resume();
  // Called by the body: returns from the resume() that continued it.
  void suspend();
  bool ended() const { return ended_; }
  // Whether an address is in its stack.
  bool holds(const std::byte* at) const {
    const auto* bottom = static_cast<const std::byte*>(own_.bottom);
    return at >= bottom && at < bottom + own_.bytes;
  }

 private:
  struct Extent {
    const void* bottom = nullptr;
    std::size_t bytes = 0;
    void* shadow = nullptr;  // AddressSanitizer's state while another stack runs
  };

  std::function<void()> body_;
  Extent own_, caller_extent_;
  boost::context::fiber self_, caller_;
  bool ended_ = false;
};

}  // namespace tdds::simt
