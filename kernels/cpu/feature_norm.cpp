#include "kernels/ops/feature_norm.h"

#include <cmath>

#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {

template <>
void run(const FeatureNormArgs& args) {
  parallel_for(args.batch, args.width, [&](std::int64_t b) {
    const float* row = args.features + b * args.width;
    double squares = 0;
    for (std::int32_t f = 0; f < args.width; ++f) squares += static_cast<double>(row[f]) * row[f];
    args.norm[args.order[args.state->cursor + b]] = static_cast<float>(std::sqrt(squares));
  });
}

}  // namespace tdds::cpu
