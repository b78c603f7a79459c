#pragma once
// The scores that a report compares.

#include <optional>
#include <string>
#include <vector>

#include "tdds/dynamics/dynamics_source.h"
#include "tdds/methods/tdds_score.h"

namespace tdds::report {

struct ReportScore {
  const Method* method = nullptr;
  std::string setting;                   // "epochs 0 to 7, J=3", "T=90 J=10 decay=0.9"
  bool variant = false;                  // of another score in the set: aum_logit of aum
  std::vector<float> score;              // [N] by row; the highest are kept
  std::vector<std::int64_t> order = {};  // ascending (tdds/selection/selection.h)
  std::vector<double> ranks = {};        // average ranks
  std::vector<float> standing = {};      // 0 .. 1
};

struct ReportScoreOptions {
  std::vector<std::string> methods;                // empty: all that the recording allows, except random ones
  std::vector<int> trajectory_lens, window_sizes;  // TDDS; the first pair is the one shown; empty: chosen
  std::optional<double> decay;                     // TDDS; 0.9 if not given
  std::int32_t method_window = 0, method_epochs = 0;  // of the other methods; 0: chosen
};

struct ScoreSet {
  std::vector<ReportScore> scores;     // TDDS first
  std::vector<std::string> left_out;   // methods, each with its reason
  std::string missing_visits;          // how many were carried; empty if the recording does not count them
  std::vector<ScoreSetting> settings;  // of TDDS, for the comparison of T and J; empty if it is not shown
  std::vector<std::vector<double>> ranks;  // [settings][N]
};

// Throws UsageError for unknown names and invalid settings, Error if the recording lacks what a requested
// method needs.
ScoreSet scores_for_report(const ReportScoreOptions& options, const DynamicsSource& source);

// T and J that are compared by default: five lengths up to all epochs, and half, once and twice the window
// that is shown. The first of each is shown: at most 90 epochs, in windows of at most 10.
struct SettingLists {
  std::vector<int> trajectory_lens, window_sizes;
};
SettingLists default_settings(std::int32_t epochs);

}  // namespace tdds::report
