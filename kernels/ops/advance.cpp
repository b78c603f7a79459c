#include "kernels/ops/advance.h"

#include "kernels/ops/dispatch.h"

namespace tdds {

void advance(Stream& stream, const AdvanceArgs& args) {
  check(args.batch > 0, "advance: a batch of {} samples; give at least 1", args.batch);
  check(args.state && args.order && args.loss && args.correct, "advance: pointers must not be null");
  dispatch(stream, "advance", args, bytes_of(DType::kF32, args.batch) + args.batch);
}

}  // namespace tdds
