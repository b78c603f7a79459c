#pragma once
// TDDS scores from the series of KL values (docs/architecture.md 7.2), on any device.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/dynamics_store.h"
#include "kernels/device.h"
#include "tdds/official_dynamics.h"

namespace tdds {

struct ScoreSetting {
  int trajectory_len = 10;  // T: the epochs used, from the first
  int window_size = 10;     // J: visits in a window
};

// As the fields of Method in tdds/methods/method.h, for people.
inline constexpr const char
    *kTddsScore =
        "the moving average, over windows of J epochs, of how much d_t = sum_c |p_c log(p_c / "
        "previous p_c)| varies in a window",
    *kTddsKept = "highest", *kTddsSource = "Zhang et al. 2024 (TDDS), the official importance_evaluation.py";

// "T=30 J=10".
std::string text_of(const ScoreSetting& setting);

// Throws UsageError unless 3 <= J <= T <= epochs and 0 <= decay <= 1; `source` names the recorded dynamics.
void check_setting(const ScoreSetting& setting, double decay, std::int32_t epochs, const std::string& source);

// The series of the first `epochs` epochs of a store.
KlSeries series_of(const DynamicsReader& dynamics, std::int32_t epochs);

// The scores [N] by sample id, for each setting. On the CPU all T of one J cost one sweep over the series.
// Throws as check_setting, and Error on a value of the series that is not finite.
std::vector<std::vector<float>> tdds_scores(Device& device, const KlSeries& series,
                                            std::span<const ScoreSetting> settings, double decay);

}  // namespace tdds
