#pragma once
// Gradient accumulation over the micro-batches of a step: sum = gradient (first) or sum + gradient, in fp32.

#include <cstdint>

#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

struct AccumulateArgs {
  const void* gradient;  // in [n] of dtype
  float* sum;            // io [n]; only written if `first`
  std::int64_t n;
  DType dtype;
  bool first;
};

void accumulate(Stream& stream, const AccumulateArgs& args);

}  // namespace tdds
