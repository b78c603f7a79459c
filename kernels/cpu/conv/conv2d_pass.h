#pragma once
// One direction of one convolution on the CPU. A Conv2d plan of this device consists of up to three.
//
//   direction          a    b    out
//   kForward           x    w    y
//   kBackwardData      dy   w    dx
//   kBackwardFilter    x    dy   dw

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/numerics/round_up.h"
#include "kernels/ops/conv2d.h"

namespace tdds::cpu {

enum class Direction { kForward, kBackwardData, kBackwardFilter };

class Conv2dPass {
 public:
  virtual ~Conv2dPass() = default;

  // Bytes that run() needs at `workspace`, which is aligned to 256 bytes.
  virtual std::size_t workspace_bytes() const = 0;
  // accumulate: out += instead of out =; for kBackwardData only. Not thread-safe.
  virtual void run(const void* a, const void* b, void* out, bool accumulate, void* workspace) const = 0;
  virtual std::string name() const = 0;
};

}  // namespace tdds::cpu
