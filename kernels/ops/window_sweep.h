#pragma once
// TDDS scores of several trajectory lengths in one sweep. The score for T is the recursion's S after the
// window that ends at epoch T-1 (kernels/ops/window_score.h), so all T share the windows.

#include <cstdint>
#include <span>

namespace tdds::cpu {

struct WindowSweepOutput {
  std::int32_t trajectory_len;  // T
  float* score;                 // out [N]
};

// series [T-1, N] for the largest T; outputs in ascending order of T, each with 3 <= window_size <= T. The
// bits of a score depend neither on the other lengths nor on the number of threads, and are the same for
// float32 values and for these values in double.
void window_sweep(const double* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs);

void window_sweep(const float* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs);

// One step of the recursion for every sample, S <- (1 - decay) S + decay R, from the rows of the window,
// oldest first: [J-1] pointers to [N]. s [N] is read and written. After the windows 0 .. T-J, S rounded to
// float32 has the bits of window_sweep's score for T.
void window_step(std::span<const float* const> rows, std::int64_t samples, double decay, double* s);

}  // namespace tdds::cpu
