#include "kernels/ops/max_pool.h"

#include "kernels/ops/dispatch.h"

namespace tdds {
namespace {

void check_shape(const Stream& stream, const char* op, const MaxPoolShape& p, bool complete) {
  check_type(stream, op, p.dtype);
  check(p.batch > 0 && p.height > 0 && p.width > 0 && p.channels > 0 && p.window > 0 && p.window <= 15 &&
            p.stride > 0 && p.padding >= 0 && p.padding <= p.window / 2 &&
            p.height + 2 * p.padding >= p.window && p.width + 2 * p.padding >= p.window,
        "{}: {}x{} windows, stride {}, padding {} do not fit [{}, {}, {}, {}]", op, p.window, p.window,
        p.stride, p.padding, p.batch, p.height, p.width, p.channels);
  check(complete, "{}: pointers must not be null", op);
}

double inputs_of(const MaxPoolShape& p) {
  return 1.0 * p.batch * p.height * p.width * p.channels;
}

}  // namespace

void max_pool(Stream& stream, const MaxPoolArgs& args) {
  check_shape(stream, "max_pool", args.shape, args.x && args.y);
  const auto outputs = static_cast<double>(args.shape.outputs());
  dispatch(stream, "max_pool", args,
           bytes_of(args.shape.dtype, inputs_of(args.shape) + outputs) + (args.argmax ? outputs : 0));
}

void max_pool_backward(Stream& stream, const MaxPoolBackwardArgs& args) {
  check_shape(stream, "max_pool_backward", args.shape, args.dy && args.dx && args.argmax);
  const auto outputs = static_cast<double>(args.shape.outputs());
  dispatch(stream, "max_pool_backward", args,
           bytes_of(args.shape.dtype, inputs_of(args.shape) + outputs) + outputs);
}

}  // namespace tdds
