// The norm of each sample's features; contract in kernels/ops/feature_norm.h.
//
// Parallel over: rows, one warp each; the lanes divide the features.
// Held in:       registers.
// Bytes per row: 4 F read, 4 written.
// Deterministic: a lane sums its features in ascending order, then a fixed tree.

#include "kernels/ops/feature_norm.h"

#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 128;

__global__ void __launch_bounds__(kThreads) feature_norm_kernel(FeatureNormArgs args) {
  wait_for_previous();
  const std::int64_t b = global_thread() / kWarpSize;
  if (b >= args.batch) return;  // whole warps only
  const float* row = args.features + b * args.width;
  float squares = 0;
  for (std::int32_t f = rank_in<Group::kWarp>(); f < args.width; f += kWarpSize) squares += row[f] * row[f];
  squares = warp_sum(squares);
  if (rank_in<Group::kWarp>() == 0) args.norm[args.order[args.state->cursor + b]] = sqrtf(squares);
}

}  // namespace

template <>
void run(Stream& stream, const FeatureNormArgs& args) {
  launch(stream, "feature_norm", feature_norm_kernel, {blocks_for(args.batch, kThreads / kWarpSize)},
         {kThreads}, 0, args);
}

}  // namespace tdds::TDDS_GPU
