#include "kernels/ops/softmax_kl.h"

#include "kernels/ops/dispatch.h"

namespace tdds {

double checked_bytes(const SoftmaxKlArgs& args) {
  check(args.batch > 0, "softmax_kl: a batch of {} samples; give at least 1", args.batch);
  check(args.classes > 1, "softmax_kl: {} classes; give at least 2", args.classes);
  check(args.logits && args.labels && args.order && args.state,
        "softmax_kl: logits, labels, order and state are required");
  check(args.smoothing >= 0 && args.smoothing < 1,
        "softmax_kl: a label smoothing of {}; give at least 0 and less than 1", args.smoothing);
  check((!args.out.kl && !args.out.true_kl) || args.prev_logp,
        "softmax_kl: kl and true_kl need prev_logp, the previous visit");
  double values = 1 + (args.dlogits ? 1 : 0) + (args.prev_logp ? 2 : 0) + (args.visit_logits ? 1 : 0);
  values *= 1.0 * args.batch * args.classes;
  const DynamicsView& out = args.out;
  for (const float* written : {out.kl, out.true_kl, out.loss, out.log_other, out.entropy, out.el2n})
    if (written) values += args.batch;
  return bytes_of(DType::kF32, values);
}

void softmax_kl(Stream& stream, const SoftmaxKlArgs& args) {
  const double bytes = checked_bytes(args);
  dispatch(stream, "softmax_kl", args, bytes);
}

void batch_weight(Stream& stream, const BatchWeightArgs& args) {
  check(args.batch > 0, "batch_weight: a batch of {} samples; give at least 1", args.batch);
  check(args.weights && args.order && args.state && args.batch_weight,
        "batch_weight: weights, order, state and batch_weight are required");
  dispatch(stream, "batch_weight", args, bytes_of(DType::kF32, args.batch));
}

}  // namespace tdds
