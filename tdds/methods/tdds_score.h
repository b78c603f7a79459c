#pragma once
// TDDS scores (docs/architecture.md 7.2), computed from the series of KL values on any device, or
// incrementally.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/runtime/device.h"
#include "tdds/methods/method.h"

namespace tdds {

struct ScoreSetting {
  int trajectory_len = 10;  // T: the epochs used, from the first
  int window_size = 10;     // J: visits in a window
};

// "T=30 J=10".
std::string to_string(const ScoreSetting& setting);

// Throws UsageError unless 3 <= J <= T <= epochs and 0 <= decay <= 1; `source` names the recorded dynamics.
void check_setting(const ScoreSetting& setting, double decay, std::int32_t epochs, const std::string& source);

// All pairs of a trajectory length and a window size with J <= T. If there are several pairs, those with J >
// T go to `left_out`. Throws UsageError if no pair is left, and as check_setting.
std::vector<ScoreSetting> fitting_settings(std::span<const int> trajectory_lens,
                                           std::span<const int> window_sizes, double decay,
                                           std::int32_t epochs, const std::string& source,
                                           std::vector<ScoreSetting>& left_out);

// The scores [N] by sample id, for each setting. On the CPU, all T of one J cost one sweep over the series;
// other devices use the series rounded to float32. Throws as check_setting, and Error for a value of the
// series that is not finite.
std::vector<std::vector<float>> tdds_scores(Device& device, const KlSeries& series,
                                            std::span<const ScoreSetting> settings, double decay);

// After epoch t, the score is that of the trajectory of T = t + 1 epochs. The scorer keeps the last J - 1
// rows of the series and the recursion's S, O(J N). With the epochs of a store it gives the bits of
// tdds_scores on the CPU, for every T. Throws Error unless window_size >= 3.
std::unique_ptr<Scorer> streaming_tdds(std::int64_t samples, int window_size, double decay,
                                       DynamicsField series = DynamicsField::kAbsKl);

}  // namespace tdds
