#pragma once
// The buffers for the gradients of activations in a backward pass. A layer takes one for each gradient that
// it writes, and gives it back when it has enqueued the last command that uses it. Filter gradients run on
// the stream's branch (Stream::fork) and may read a gradient long after that. The ring hands out the buffer
// that was given back first, and joins the fork that reads it, so a new gradient never replaces one that is
// still read.

#include <cstddef>
#include <vector>

#include "engine/arena.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/stream.h"

namespace tdds {

class GradientRing {
 public:
  // A backward pass holds three gradients at a time. With branches, three more allow the branch to lag
  // behind.
  static std::size_t buffers_for(const Device& device) { return device.has_branches() ? 6 : 3; }

  void bind(Arena& scratch, std::size_t buffers, std::size_t bytes) {
    free_.clear();
    for (std::size_t i = 0; i < buffers; ++i) free_.push_back({scratch.take(bytes), Stream::kNoFork});
  }

  // A buffer that only the caller uses from here on.
  void* take(Stream& stream) {
    check(!free_.empty(), "GradientRing::take: all buffers are in use; give them back after their last use");
    const Free first = free_.front();
    free_.erase(free_.begin());
    stream.join(first.reader);
    return first.buffer;
  }

  // reader: the last fork that reads the buffer.
  void give_back(void* buffer, Stream::Fork reader = Stream::kNoFork) { free_.push_back({buffer, reader}); }

 private:
  struct Free {
    void* buffer;
    Stream::Fork reader;
  };
  std::vector<Free> free_;  // in the order in which they were given back
};

}  // namespace tdds
