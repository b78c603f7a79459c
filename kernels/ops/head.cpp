#include "kernels/ops/head.h"

#include "kernels/ops/dispatch.h"

namespace tdds {
namespace {

void check_shape(const Stream& stream, const char* op, const HeadShape& s) {
  check_type(stream, op, s.dtype);
  check(s.batch > 0 && s.positions > 0 && s.features > 0 && s.classes > 0,
        "{}: shape [{}, {}, {}] with {} classes; every extent must be at least 1", op, s.batch, s.positions,
        s.features, s.classes);
}

// The bytes of x or dx, the features, the weights and the logits, each once.
double operand_bytes(const HeadShape& s) {
  const double batch = s.batch, features = s.features, classes = s.classes;
  return bytes_of(s.dtype, batch * s.positions * features) +
         bytes_of(DType::kF32, batch * features + features * classes + classes + batch * classes);
}

double products(const HeadShape& s) {
  return 1.0 * s.batch * s.features * s.classes;
}

}  // namespace

void head_forward(Stream& stream, const HeadForwardArgs& args) {
  check_shape(stream, "head_forward", args.shape);
  check(args.x && args.w && args.bias && args.features && args.logits,
        "head_forward: x, w, bias, features and logits are required");
  check(args.loss.logits || !args.feature_norm, "head_forward: feature_norm needs a loss");
  double bytes = operand_bytes(args.shape);
  if (args.loss.logits) {
    check(args.loss.logits == args.logits && args.loss.batch == args.shape.batch &&
              args.loss.classes == args.shape.classes,
          "head_forward: the loss must be of the logits computed here");
    bytes += checked_bytes(args.loss);
  }
  dispatch(stream, "head_forward", args, bytes, 2 * products(args.shape));
}

void head_backward(Stream& stream, const HeadBackwardArgs& args) {
  check_shape(stream, "head_backward", args.shape);
  check(args.features && args.w && args.dlogits && args.dx && args.dw && args.db && args.dfeatures,
        "head_backward: pointers must not be null");
  const double weights = 1.0 * args.shape.features * args.shape.classes;
  dispatch(stream, "head_backward", args, operand_bytes(args.shape) + bytes_of(DType::kF32, weights),
           4 * products(args.shape));
}

}  // namespace tdds
