#pragma once
// TDDS scores of several trajectory lengths in one sweep: the score for T is the recursion's S after the
// window that ends at epoch T-1 (kernels/ops/window_score.h), so the windows are shared by all T.

#include <cstdint>
#include <span>

namespace tdds::cpu {

struct WindowSweepOutput {
  std::int32_t trajectory_len;  // T
  float* score;                 // out [N]
};

// series [T-1, N] for the largest T; the outputs in ascending order of T, each with 3 <= window_size <= T.
// A score has the same bits whichever other lengths are asked for, on any number of threads, and for float32
// values as for the same values in double.
void window_sweep(const double* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs);

void window_sweep(const float* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs);

// One step of that recursion for every sample, S <- (1 - decay) S + decay R, from the window's rows, oldest
// first: [J-1] pointers to [N]. After the windows 0 .. T-J the bits of S, rounded to float32, are
// window_sweep's for T. s [N] is read and written.
void window_step(std::span<const float* const> rows, std::int64_t samples, double decay, double* s);

}  // namespace tdds::cpu
