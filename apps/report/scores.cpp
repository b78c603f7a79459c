#include "apps/report/scores.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "apps/score/missing_visits.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"
#include "tdds/selection/selection.h"
#include "tdds/statistics/rank_correlation.h"
#include "tdds/statistics/report_statistics.h"

namespace tdds::report {
namespace {

void add_order(ReportScore& score) {
  score.order = order_by_score(score.score);
  score.ranks = average_ranks(score.score);
  score.standing = standing(score.ranks);
}

double decay_of(const ReportScoreOptions& options) {
  return options.decay.value_or(0.9);
}

// The pairs with J <= T, the shown one first.
std::vector<ScoreSetting> pairs_of(const ReportScoreOptions& options, const DynamicsSource& source) {
  SettingLists lists = default_settings(source.epochs());
  if (!options.trajectory_lens.empty()) lists.trajectory_lens = options.trajectory_lens;
  if (!options.window_sizes.empty()) lists.window_sizes = options.window_sizes;
  const ScoreSetting shown{lists.trajectory_lens[0], lists.window_sizes[0]};
  check_setting(shown, decay_of(options), source.epochs(), source.path());
  std::vector<ScoreSetting> settings{shown};
  std::sort(lists.trajectory_lens.begin(), lists.trajectory_lens.end());
  std::sort(lists.window_sizes.begin(), lists.window_sizes.end());
  for (const int j : lists.window_sizes)
    for (const int t : lists.trajectory_lens) {
      const auto equal = [&](const ScoreSetting& s) { return s.trajectory_len == t && s.window_size == j; };
      if (t < j || std::any_of(settings.begin(), settings.end(), equal)) continue;
      check_setting({t, j}, decay_of(options), source.epochs(), source.path());
      settings.push_back({t, j});
    }
  constexpr std::size_t kMax = 40;
  check_usage(
      settings.size() <= kMax,
      "--trajectory_len and --window_size make {} pairs, and a heat map of more than {} cannot be read; "
      "give fewer",
      settings.size(), kMax);
  return settings;
}

std::vector<MethodOptions> settings_of(const Method& method, const ReportScoreOptions& options,
                                       const DynamicsSource& source) {
  if (!has_trajectory(method)) {
    const std::int32_t epochs = options.method_epochs > 0 ? options.method_epochs : source.epochs();
    return {{.epochs = options.method_epochs,
             .window_size = options.method_window > 0 ? options.method_window : default_window(epochs)}};
  }
  std::vector<MethodOptions> settings;
  for (const auto& [t, j] : pairs_of(options, source))
    settings.push_back({.epochs = t, .window_size = j, .decay = decay_of(options)});
  return settings;
}

// A method with T and J is compared over all pairs; its variants only use the first.
void add_score(const Method& method, const ReportScoreOptions& options, const DynamicsSource& source,
               ScoreSet& set) {
  std::vector<MethodOptions> settings = settings_of(method, options, source);
  if (method.variant_of) settings.resize(1);
  const auto device = make_device(DeviceKind::kCpu);
  std::vector<MethodScore> computed = method.compute(method, source, settings, *device);
  MethodScore& shown = computed.front();
  const auto samples = static_cast<std::int64_t>(shown.score.size());
  if (!shown.visits.missing.empty()) set.missing_visits = text_of_missing(shown.visits, samples);
  if (has_trajectory(method) && !method.variant_of) {
    for (const MethodScore& each : computed) {
      set.settings.push_back({each.used.epochs, each.used.window_size});
      set.ranks.push_back(average_ranks(each.score));
    }
  }
  set.scores.push_back(
      {.method = &method, .setting = to_string(method, shown.used), .score = std::move(shown.score)});
  add_order(set.scores.back());
}

// Adds every method that the recording allows, and lists the others with the reason.
void add_all(const ReportScoreOptions& options, const DynamicsSource& source, ScoreSet& set) {
  for (const Method* method : all_methods()) {
    if (method->drawn) continue;
    const bool as_given =
        has_trajectory(*method) && !(options.trajectory_lens.empty() && options.window_sizes.empty());
    try {
      add_score(*method, options, source, set);
    } catch (const Error& reason) {
      const bool usage = dynamic_cast<const UsageError*>(&reason) != nullptr;
      if (usage && as_given) throw;
      if (!usage && !source.store() && method->official) throw;  // official files allow nothing else
      set.left_out.push_back(fmt::format("{}: {}", method->name, with_flag_names(reason.what())));
    }
  }
  check(!set.scores.empty(), "{} allows no score: {}", source.path(), fmt::join(set.left_out, "; "));
}

void mark_variants(std::vector<ReportScore>& scores) {
  for (ReportScore& score : scores)
    for (const ReportScore& other : scores)
      score.variant |=
          score.method->variant_of && other.method->name == std::string_view(score.method->variant_of);
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

ScoreSet scores_for_report(const ReportScoreOptions& options, const DynamicsSource& source) {
  ScoreSet set;
  if (options.methods.empty()) add_all(options, source, set);
  for (const std::string& name : options.methods) add_score(find_method(name), options, source, set);
  mark_variants(set.scores);
  return set;
}

}  // namespace tdds::report
