#include "kernels/ops/elementwise.h"

#include "kernels/ops/dispatch.h"

namespace tdds {
namespace {

// Checks the arguments, and dispatches unless n is 0.
template <class Args>
void map(Stream& stream, const char* op, const Args& args, int operands, bool complete) {
  check_type(stream, op, args.dtype);
  check(args.n >= 0, "{}: {} elements; the count must be at least 0", op, args.n);
  check(complete, "{}: pointers must not be null", op);
  if (args.n > 0) dispatch(stream, op, args, bytes_of(args.dtype, operands * args.n));
}

}  // namespace

void add(Stream& stream, const AddArgs& args) {
  map(stream, "add", args, 3, args.a && args.b && args.out);
}

void relu(Stream& stream, const ReluArgs& args) {
  map(stream, "relu", args, 2, args.x && args.y);
}

void relu_backward(Stream& stream, const ReluBackwardArgs& args) {
  map(stream, "relu_backward", args, 3, args.y && args.dy && args.dx);
}

}  // namespace tdds
