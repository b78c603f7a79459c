#pragma once
// The least work of an op, for devices that count calls instead of making them (kernels/planning).

#include <any>
#include <functional>

namespace tdds {

class Stream;

// The least work of one call of an op: each operand is read or written once.
struct OpWork {
  const char* name;
  double bytes;
  double conv_flops = 0;  // of a convolution, by its actual algorithm, in the compute type
  double fp32_flops = 0;  // of a linear layer
  double largest = 0;     // bytes of the largest operand of a convolution
  std::any args = {};     // the call's arguments: of a library's op its Conv2dCall or LinearSpec
};

// Gives the call to the stream's device, which is a counting one; `run` makes it on another stream. Defined
// by kernels/planning.
void count_op(Stream& stream, const OpWork& work, std::function<void(Stream&)> run);

}  // namespace tdds
