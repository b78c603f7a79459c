#include "apps/report/scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "kernels/check.h"
#include "kernels/device.h"
#include "tdds/methods/method.h"
#include "tdds/rank_correlation.h"
#include "tdds/report_statistics.h"
#include "tdds/selection.h"

namespace tdds::report {
namespace {

void add_order(ReportScore& score) {
  score.order = order_by_score(score.score);
  score.ranks = average_ranks(score.score);
  score.standing = standing(score.ranks);
}

// The pairs with J <= T, the shown one first.
std::vector<ScoreSetting> settings_of(const ScoreOptions& options, const DynamicsSource& source) {
  SettingLists lists = default_settings(source.epochs());
  if (!options.trajectory_lens.empty()) lists.trajectory_lens = options.trajectory_lens;
  if (!options.window_sizes.empty()) lists.window_sizes = options.window_sizes;
  const ScoreSetting shown{lists.trajectory_lens[0], lists.window_sizes[0]};
  check_setting(shown, options.decay, source.epochs(), source.path());
  std::vector<ScoreSetting> settings{shown};
  std::sort(lists.trajectory_lens.begin(), lists.trajectory_lens.end());
  std::sort(lists.window_sizes.begin(), lists.window_sizes.end());
  for (const int j : lists.window_sizes)
    for (const int t : lists.trajectory_lens) {
      const auto equal = [&](const ScoreSetting& s) { return s.trajectory_len == t && s.window_size == j; };
      if (t < j || std::any_of(settings.begin(), settings.end(), equal)) continue;
      check_setting({t, j}, options.decay, source.epochs(), source.path());
      settings.push_back({t, j});
    }
  constexpr std::size_t kMost = 40;
  check_usage(
      settings.size() <= kMost,
      "--trajectory_len and --window_size make {} pairs, and a heat map of more than {} cannot be read; "
      "give fewer",
      settings.size(), kMost);
  return settings;
}

void add_tdds(const ScoreOptions& options, const DynamicsSource& source, bool shown, ScoreSet& set) {
  set.settings = settings_of(options, source);
  std::int32_t epochs = 0;
  for (const ScoreSetting& setting : set.settings) epochs = std::max(epochs, setting.trajectory_len);
  const auto device = make_device(DeviceKind::kCpu);
  auto scores = tdds_scores(*device, source.series(epochs), set.settings, options.decay);
  for (const auto& score : scores) set.ranks.push_back(average_ranks(score));
  if (!shown) return;
  set.scores.push_back({.name = "tdds",
                        .setting = fmt::format("{} decay={}", text_of(set.settings[0]), options.decay),
                        .formula = kTddsScore,
                        .kept = kTddsKept,
                        .source = kTddsSource,
                        .score = std::move(scores[0])});
  add_order(set.scores.back());
}

void add_method(const Method& method, const DynamicsReader& dynamics, ScoreSet& set) {
  MethodOptions options;
  // Short runs have shorter windows than the methods' own 10.
  options.window_size = default_settings(dynamics.epochs()).window_sizes[0];
  const std::int32_t epochs = epochs_used(method, dynamics, options);
  set.scores.push_back({.name = method.name,
                        .setting = fmt::format("epochs 0 to {}", epochs - 1),
                        .formula = method.score,
                        .kept = method.kept,
                        .source = method.source,
                        .score = compute_scores(method, dynamics, options)});
  add_order(set.scores.back());
}

// All that can be had; what cannot is told with its reason.
void add_all_methods(const DynamicsSource& source, ScoreSet& set) {
  for (const Method* method : all_methods()) {
    if (std::string_view(method->name).starts_with("random")) continue;
    try {
      check(source.store() != nullptr, "{} holds official .npy files, which carry no labels", source.path());
      add_method(*method, *source.store(), set);
    } catch (const Error& reason) {
      set.left_out.push_back(fmt::format("{}: {}", method->name, reason.what()));
    }
  }
}

void mark_variants(std::vector<ReportScore>& scores) {
  for (ReportScore& score : scores)
    for (const ReportScore& other : scores) score.variant |= score.name.starts_with(other.name + "_");
}

}  // namespace

SettingLists default_settings(std::int32_t epochs) {
  const int t = std::min(epochs, 90), j = std::min(10, std::max(3, t / 2));
  SettingLists lists{{t}, {j}};
  for (int k = 1; k <= 5; ++k) lists.trajectory_lens.push_back(std::max(3, epochs * k / 5));
  lists.window_sizes.insert(lists.window_sizes.end(),
                            {std::max(3, j / 2), std::min(2 * j, std::max(3, epochs))});
  return lists;
}

ScoreSet scores_for_report(const ScoreOptions& options, const DynamicsSource& source) {
  ScoreSet set;
  const auto& names = options.methods;
  const bool tdds_shown = names.empty() || std::find(names.begin(), names.end(), "tdds") != names.end();
  add_tdds(options, source, tdds_shown, set);
  if (names.empty()) add_all_methods(source, set);
  for (const std::string& name : names) {
    if (name == "tdds") continue;
    const Method& method = find_method(name);
    check(source.store() != nullptr,
          "{} needs the dynamics store that tdds-train --dynamics writes; {} holds official .npy files", name,
          source.path());
    add_method(method, *source.store(), set);
  }
  mark_variants(set.scores);
  return set;
}

}  // namespace tdds::report
