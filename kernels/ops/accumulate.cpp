#include "kernels/ops/accumulate.h"

#include "kernels/ops/dispatch.h"

namespace tdds {

void accumulate(Stream& stream, const AccumulateArgs& args) {
  check_type(stream, "accumulate", args.dtype);
  check(args.n >= 0, "accumulate: {} gradients; the count must be at least 0", args.n);
  check(args.gradient && args.sum, "accumulate: no pointer may be null");
  if (args.n == 0) return;
  const int sums = args.first ? 1 : 2;
  dispatch(stream, "accumulate", args, bytes_of(args.dtype, args.n) + bytes_of(DType::kF32, sums * args.n));
}

}  // namespace tdds
