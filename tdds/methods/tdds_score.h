#pragma once
// TDDS scores from the series of KL values (docs/architecture.md 7.2), on any device.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dynamics_store.h"
#include "kernels/device.h"
#include "tdds/official_dynamics.h"

namespace tdds {

struct ScoreSetting {
  int trajectory_len = 10;  // T: the epochs used, from the first
  int window_size = 10;     // J: visits in a window
};

// TDDS and its relatives: the same windows over another series. The texts are as those of Method in
// tdds/methods/method.h.
struct TddsVariant {
  const char* name;  // as in --method
  DynamicsField series;
  const char *score, *kept, *source;
};
inline constexpr const char
    *kTddsScore =
        "the moving average, over windows of J epochs, of how much d_t = sum_c |p_c log(p_c / "
        "previous p_c)| varies in a window",
    *kTddsKept = "highest", *kTddsSource = "Zhang et al. 2024 (TDDS), the official importance_evaluation.py";
inline constexpr TddsVariant kTdds{"tdds", DynamicsField::kKl, kTddsScore, kTddsKept, kTddsSource};
inline constexpr TddsVariant kTddsKl{
    "tdds_kl", DynamicsField::kTrueKl,
    "the same with d_t = sum_c p_c log(p_c / previous p_c), the KL divergence without absolute values",
    "highest",
    "a variant of TDDS, whose own d_t takes the absolute value of each class's term and so is no divergence"};
const TddsVariant* find_tdds_variant(std::string_view name);  // null: another method

// "T=30 J=10".
std::string text_of(const ScoreSetting& setting);

// Throws UsageError unless 3 <= J <= T <= epochs and 0 <= decay <= 1; `source` names the recorded dynamics.
void check_setting(const ScoreSetting& setting, double decay, std::int32_t epochs, const std::string& source);

// All pairs of a trajectory length and a window size with J <= T. A list may hold pairs that make no sense
// together: those go to `left_out`. Throws UsageError where no pair is left, and as check_setting.
std::vector<ScoreSetting> fitting_settings(std::span<const int> trajectory_lens,
                                           std::span<const int> window_sizes, double decay,
                                           std::int32_t epochs, const std::string& source,
                                           std::vector<ScoreSetting>& left_out);

// The series of the first `epochs` epochs of a store.
KlSeries series_of(const DynamicsReader& dynamics, std::int32_t epochs,
                   DynamicsField field = DynamicsField::kKl);

// The scores [N] by sample id, for each setting. On the CPU all T of one J cost one sweep over the series.
// Throws as check_setting, and Error on a value of the series that is not finite.
std::vector<std::vector<float>> tdds_scores(Device& device, const KlSeries& series,
                                            std::span<const ScoreSetting> settings, double decay);

}  // namespace tdds
