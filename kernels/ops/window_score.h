#pragma once
// TDDS scores of all samples from the series of KL values (docs/architecture.md 7.2; official
// importance_evaluation.py).
//
// clang-format off
//   window k = 0 .. T-J:  mean_k = 1/(J-1) sum_{j<J-1} d_{k+j}
//                         R_k    = sqrt( sum_{j<J-1} (d_{k+j} - mean_k)^2 )
//   score = S after the last window of  S <- (1 - decay) S + decay R_k,  S = 0 before the first
// clang-format on
//
// Each (T, J, decay) needs only the first T-1 rows of the series. Sums and S are in double. 3 <= J <= T.

#include <cstdint>

namespace tdds {

class Stream;

struct WindowScoreArgs {
  const float* series;                       // in  [T-1, N]: d_t of every sample, row by row
  float* score;                              // out [N]
  std::int64_t samples;                      // N
  std::int32_t trajectory_len, window_size;  // T, J
  double decay;
};

void window_score(Stream& stream, const WindowScoreArgs& args);

}  // namespace tdds
