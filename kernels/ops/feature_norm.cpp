#include "kernels/ops/feature_norm.h"

#include "kernels/ops/dispatch.h"

namespace tdds {

void feature_norm(Stream& stream, const FeatureNormArgs& args) {
  check(args.batch > 0 && args.width > 0, "feature_norm: shape [{}, {}]; every extent must be at least 1",
        args.batch, args.width);
  check(args.features && args.order && args.state && args.norm, "feature_norm: pointers must not be null");
  dispatch(stream, "feature_norm", args, bytes_of(DType::kF32, args.batch * (args.width + 1.0)));
}

}  // namespace tdds
