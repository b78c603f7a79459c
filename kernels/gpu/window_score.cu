// TDDS scores of all samples; contract in kernels/ops/window_score.h.
//
// Parallel over: samples, one per thread; neighbouring threads read neighbouring values of a row.
// Held in:       registers, in double; the J - 1 rows of a window stay in L1 and L2 from one window to the
//                next.
// Bytes per row: each value of the series is read from memory once, and 2 (J - 1) times from the caches.
// Deterministic: the windows of a sample, and the epochs of a window, are processed in ascending order.

#include "kernels/ops/window_score.h"

#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 128;

// Two passes over the window: a sliding sum of squares would cancel, since d spans many orders of magnitude.
__device__ double window_norm(const float* first, std::int64_t stride, std::int32_t terms) {
  double mean = 0, squares = 0;
  for (std::int32_t j = 0; j < terms; ++j) mean += first[j * stride];
  mean /= terms;
  for (std::int32_t j = 0; j < terms; ++j) {
    const double off = first[j * stride] - mean;
    squares += off * off;
  }
  return sqrt(squares);
}

__global__ void __launch_bounds__(kThreads) window_score_kernel(WindowScoreArgs args) {
  wait_for_previous();
  const std::int64_t i = global_thread();
  if (i >= args.samples) return;
  double score = 0;
  for (std::int32_t k = 0; k <= args.trajectory_len - args.window_size; ++k)
    score = (1 - args.decay) * score +
            args.decay * window_norm(args.series + k * args.samples + i, args.samples, args.window_size - 1);
  args.score[i] = static_cast<float>(score);
}

}  // namespace

template <>
void run(Stream& stream, const WindowScoreArgs& args) {
  launch(stream, "window_score", window_score_kernel, {blocks_for(args.samples, kThreads)}, {kThreads}, 0,
         args);
}

}  // namespace tdds::TDDS_GPU
