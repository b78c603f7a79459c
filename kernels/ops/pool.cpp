#include "kernels/ops/pool.h"

#include "kernels/ops/dispatch.h"

namespace tdds {
namespace {

template <class Args>
void pool(Stream& stream, const char* op, const Args& args, bool complete) {
  check_type(stream, op, args.dtype);
  check(args.batch > 0 && args.positions > 0 && args.channels > 0,
        "{}: shape [{}, {}, {}]; every extent must be at least 1", op, args.batch, args.positions,
        args.channels);
  check(complete, "{}: pointers must not be null", op);
  const double pooled = 1.0 * args.batch * args.channels;
  dispatch(stream, op, args, bytes_of(args.dtype, pooled * args.positions) + bytes_of(DType::kF32, pooled));
}

}  // namespace

void global_avg_pool(Stream& stream, const GlobalAvgPoolArgs& args) {
  pool(stream, "global_avg_pool", args, args.x && args.y);
}

void global_avg_pool_backward(Stream& stream, const GlobalAvgPoolBackwardArgs& args) {
  pool(stream, "global_avg_pool_backward", args, args.dy && args.dx);
}

}  // namespace tdds
