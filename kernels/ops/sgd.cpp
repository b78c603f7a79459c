#include "kernels/ops/sgd.h"

#include "kernels/ops/dispatch.h"

namespace tdds {

void sgd(Stream& stream, const SgdArgs& args) {
  check_type(stream, "sgd", args.gradient_dtype);
  if (args.compute) check_type(stream, "sgd", args.compute_dtype);
  check(args.n >= 0, "sgd: {} parameters; the count must be at least 0", args.n);
  check(args.more.n >= 0, "sgd: {} further parameters; the count must be at least 0", args.more.n);
  check(args.w && args.v && args.gradient && args.lr_table && args.state, "sgd: only compute may be null");
  check(args.more.n == 0 || (args.more.w && args.more.v && args.more.gradient),
        "sgd: the pointers to further parameters must not be null");
  if (args.n == 0 && args.more.n == 0) return;
  dispatch(stream, "sgd", args,
           bytes_of(DType::kF32, 4 * args.n + 5 * args.more.n) + bytes_of(args.gradient_dtype, args.n) +
               (args.compute ? bytes_of(args.compute_dtype, args.n) : 0));
}

void check_finite(Stream& stream, const CheckFiniteArgs& args) {
  check_type(stream, "check_finite", args.dtype);
  check(args.n >= 0, "check_finite: {} gradients; the count must be at least 0", args.n);
  check(args.more_n >= 0, "check_finite: {} further gradients; the count must be at least 0", args.more_n);
  check(args.gradient && args.state && (args.more || args.more_n == 0),
        "check_finite: pointers must not be null");
  if (args.n > 0 || args.more_n > 0)
    dispatch(stream, "check_finite", args, bytes_of(args.dtype, args.n) + bytes_of(DType::kF32, args.more_n));
}

}  // namespace tdds
