#pragma once
// Elementwise ops over n values of `dtype`. The output may alias any input.

#include <cstdint>

#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

struct AddArgs {  // out = a + b
  const void *a, *b;
  void* out;
  std::int64_t n;
  DType dtype;
};

struct ReluArgs {  // y = max(x, 0); a NaN stays NaN
  const void* x;
  void* y;
  std::int64_t n;
  DType dtype;
};

struct ReluBackwardArgs {  // dx = dy where y > 0, else 0
  const void *y, *dy;
  void* dx;
  std::int64_t n;
  DType dtype;
};

void add(Stream& stream, const AddArgs& args);
void relu(Stream& stream, const ReluArgs& args);
void relu_backward(Stream& stream, const ReluBackwardArgs& args);

}  // namespace tdds
