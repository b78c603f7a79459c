#include "kernels/feature_norm.h"

#include <cmath>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

void run_feature_norm(const FeatureNormArgs& args) {
  parallel_for(args.batch, [&](std::int64_t b) {
    const float* row = args.features + b * args.width;
    double squares = 0;
    for (std::int32_t f = 0; f < args.width; ++f) squares += static_cast<double>(row[f]) * row[f];
    args.norm[args.order[args.state->cursor + b]] = static_cast<float>(std::sqrt(squares));
  });
}

}  // namespace

void feature_norm(Stream& stream, const FeatureNormArgs& args) {
  check(args.batch > 0 && args.width > 0, "feature_norm: shape [{}, {}]; every extent is at least 1",
        args.batch, args.width);
  check(args.features && args.order && args.state && args.norm, "feature_norm: no pointer may be null");
  enqueue(stream, "feature_norm", args, run_feature_norm);
}

}  // namespace tdds::cpu
