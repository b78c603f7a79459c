#pragma once
// Bytes that a training step moves to and from memory by plan: what each op reads and writes by its contract,
// whether or not a cache serves it.
//
//   floor    the convolutions' operands and results, the input, the head's map and the optimizer's blocks: what
//            remains if all between two convolutions were done while it is in registers
//   passes   what the ops between the convolutions add: batch norm reads its input twice, forward and backward

namespace tdds {

struct Traffic {
  double floor = 0, passes = 0;

  double total() const { return floor + passes; }
  Traffic& operator+=(const Traffic& other) {
    floor += other.floor;
    passes += other.passes;
    return *this;
  }
};

}  // namespace tdds
