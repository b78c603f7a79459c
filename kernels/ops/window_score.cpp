#include "kernels/ops/window_score.h"

#include "kernels/ops/dispatch.h"

namespace tdds {

void window_score(Stream& stream, const WindowScoreArgs& args) {
  check(args.series && args.score, "window_score: series and score are required");
  check(args.samples > 0, "window_score: {} samples; give at least 1", args.samples);
  check(args.window_size >= 3 && args.window_size <= args.trajectory_len,
        "window_score: a window of {} epochs in a trajectory of {}; 3 <= J <= T is required",
        args.window_size, args.trajectory_len);
  dispatch(stream, "window_score", args, bytes_of(DType::kF32, args.samples * args.trajectory_len));
}

}  // namespace tdds
