#include "apps/report/scores.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "kernels/check.h"
#include "kernels/device.h"
#include "tdds/methods/method.h"
#include "tdds/moderate.h"
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

double decay_of(const ScoreOptions& options) {
  return options.decay.value_or(0.9);
}

// The pairs with J <= T, the shown one first.
std::vector<ScoreSetting> settings_of(const ScoreOptions& options, const DynamicsSource& source) {
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
  constexpr std::size_t kMost = 40;
  check_usage(
      settings.size() <= kMost,
      "--trajectory_len and --window_size make {} pairs, and a heat map of more than {} cannot be read; "
      "give fewer",
      settings.size(), kMost);
  return settings;
}

void add_variant(const TddsVariant& variant, const ScoreSetting& setting, double decay,
                 std::vector<float> score, ScoreSet& set) {
  set.scores.push_back({.name = variant.name,
                        .setting = fmt::format("{} decay={}", text_of(setting), decay),
                        .formula = variant.score,
                        .kept = variant.kept,
                        .source = variant.source,
                        .score = std::move(score)});
  add_order(set.scores.back());
}

// TDDS is compared over all settings, its relative shown with the first.
void add_tdds(const TddsVariant& variant, const ScoreOptions& options, const DynamicsSource& source,
              ScoreSet& set) {
  const double decay = decay_of(options);
  std::vector<ScoreSetting> settings = settings_of(options, source);
  const bool compared = &variant == &kTdds;
  if (!compared) settings.resize(1);
  std::int32_t epochs = 0;
  for (const ScoreSetting& setting : settings) epochs = std::max(epochs, setting.trajectory_len);
  const auto device = make_device(DeviceKind::kCpu);
  auto scores = tdds_scores(*device, source.series(epochs, variant.series), settings, decay);
  if (compared) {
    for (const auto& score : scores) set.ranks.push_back(average_ranks(score));
    set.settings = settings;
  }
  add_variant(variant, settings[0], decay, std::move(scores[0]), set);
}

const DynamicsReader& store_of(const DynamicsSource& source, std::string_view what) {
  check(source.store() != nullptr,
        "{} needs the dynamics store that tdds-train --dynamics writes; {} holds official .npy files, which "
        "carry no "
        "labels",
        what, source.path());
  return *source.store();
}

void add_moderate(const DynamicsSource& source, ScoreSet& set) {
  const DynamicsHeader& run = store_of(source, kModerate).header();
  const Features features = read_features(features_beside(source.path()), run, source.epochs());
  set.scores.push_back({.name = kModerate,
                        .setting = fmt::format("features after {} epochs", features.epochs),
                        .formula = kModerateScore,
                        .kept = kModerateKept,
                        .source = kModerateSource,
                        .score = moderate_scores(features, run.labels, run.classes)});
  add_order(set.scores.back());
}

void add_method(const Method& method, const ScoreOptions& report, const DynamicsSource& source,
                ScoreSet& set) {
  const DynamicsReader& dynamics = store_of(source, method.name);
  MethodOptions options{.epochs = report.method_epochs};
  options.window_size =
      report.method_window > 0
          ? report.method_window
          : default_window(report.method_epochs > 0 ? report.method_epochs : dynamics.epochs());
  const std::int32_t epochs = epochs_used(method, dynamics, options);
  set.scores.push_back(
      {.name = method.name,
       .setting = fmt::format("epochs 0 to {}{}", epochs - 1,
                              method.windowed ? fmt::format(", J={}", options.window_size) : std::string()),
       .formula = method.score,
       .kept = method.kept,
       .source = method.source,
       .score = compute_scores(method, dynamics, options)});
  add_order(set.scores.back());
}

void add_score(const std::string& name, const ScoreOptions& options, const DynamicsSource& source,
               ScoreSet& set) {
  if (const TddsVariant* variant = find_tdds_variant(name))
    add_tdds(*variant, options, source, set);
  else if (name == kModerate)
    add_moderate(source, set);
  else
    add_method(find_method(name), options, source, set);
}

// All that can be had; what cannot is told with its reason.
void add_all(const ScoreOptions& options, const DynamicsSource& source, ScoreSet& set) {
  std::vector<std::string> names{kTdds.name, kTddsKl.name};
  for (const Method* method : all_methods())
    if (!std::string_view(method->name).starts_with("random")) names.emplace_back(method->name);
  names.emplace_back(kModerate);
  for (const std::string& name : names) {
    const bool as_given =
        find_tdds_variant(name) && !(options.trajectory_lens.empty() && options.window_sizes.empty());
    try {
      add_score(name, options, source, set);
    } catch (const Error& reason) {
      if (as_given && dynamic_cast<const UsageError*>(&reason)) throw;
      set.left_out.push_back(fmt::format("{}: {}", name, reason.what()));
    }
  }
  check(!set.scores.empty(), "{} allows no score: {}", source.path(), fmt::join(set.left_out, "; "));
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
  if (options.methods.empty()) add_all(options, source, set);
  for (const std::string& name : options.methods) add_score(name, options, source, set);
  mark_variants(set.scores);
  return set;
}

}  // namespace tdds::report
