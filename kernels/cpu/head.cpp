#include "kernels/ops/head.h"

#include "kernels/cpu/plans.h"
#include "kernels/ops/feature_norm.h"
#include "kernels/ops/pool.h"
#include "kernels/ops/run.h"

namespace tdds::cpu {
namespace {

LinearSpec linear_of(const HeadShape& s) {
  return {.batch = s.batch, .in_features = s.features, .out_features = s.classes};
}

}  // namespace

template <>
void run(const HeadForwardArgs& args) {
  const HeadShape& s = args.shape;
  run(GlobalAvgPoolArgs{args.x, args.features, s.batch, s.positions, s.features, s.dtype});
  linear_forward(linear_of(s), args.features, args.w, args.bias, args.logits);
  if (!args.loss.logits) return;
  run(args.loss);
  if (args.feature_norm)
    run(FeatureNormArgs{args.features, args.loss.order, args.loss.state, args.feature_norm, s.batch,
                        s.features});
}

template <>
void run(const HeadBackwardArgs& args) {
  const HeadShape& s = args.shape;
  linear_backward(linear_of(s), args.features, args.w, args.dlogits, args.dfeatures, args.dw, args.db);
  run(GlobalAvgPoolBackwardArgs{args.dfeatures, args.dx, s.batch, s.positions, s.features, s.dtype});
}

}  // namespace tdds::cpu
