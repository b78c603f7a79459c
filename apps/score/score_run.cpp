#include "apps/score/score_run.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/cli/output.h"
#include "kernels/runtime/check.h"
#include "tdds/methods/tdds_score.h"

namespace tdds {
namespace {

// Each selection, and which samples it keeps.
constexpr std::array<std::pair<const char*, const char*>, 5> kSelections{
    {{"top", "the highest scores"},
     {"bottom", "the lowest scores"},
     {"balanced", "the highest scores of each class"},
     {"ccs", "samples drawn from strata of the scores"},
     {"beta", "samples drawn with Beta weights"}}};

std::vector<MethodOptions> settings_of(const Method& method, const ScoreOptions& options,
                                       const DynamicsSource& source) {
  if (!has_trajectory(method)) return {options.method};
  std::vector<ScoreSetting> left_out;
  std::vector<MethodOptions> settings;
  for (const auto& [t, j] : fitting_settings(options.trajectory_lens, options.window_sizes, options.decay,
                                             source.epochs(), source.path(), left_out))
    settings.push_back({.epochs = t, .window_size = j, .decay = options.decay});
  for (const ScoreSetting& setting : left_out)
    print_out("{} is left out: the window does not fit into the trajectory\n", to_string(setting));
  return settings;
}

}  // namespace

ScoredMethod describe(const std::string& folder, const Method& method, MethodScore computed) {
  const MethodOptions& used = computed.used;
  const std::string text = to_string(method, used);
  ScoredMethod scored{fmt::format("{} ({})", method.name, text),
                      method.name,
                      {},
                      {{"method", method.name},
                       {"score", method.score},
                       {"direction", method.kept},
                       {"source", method.source}},
                      std::move(computed.score)};
  if (has_trajectory(method)) {
    scored.name = fmt::format("{} {}", method.name, text);
    scored.stem += fmt::format("_win{}_ep{}", used.window_size, used.epochs);
    scored.how["trajectory_len"] = used.epochs;
    scored.how["window_size"] = used.window_size;
    scored.how["decay"] = used.decay;
  } else {
    scored.how["epochs"] = used.epochs;
    if (has_windows(method)) scored.how["window_size"] = used.window_size;
    if (method.drawn) scored.how["seed"] = used.seed;
  }
  scored.files = method.official ? official_ranking_files(folder, used.window_size, used.epochs)
                                 : ranking_files(folder, scored.stem);
  if (!computed.visits.missing.empty())
    scored.how["missing_visits"] =
        json_of_missing(computed.visits, static_cast<std::int64_t>(scored.score.size()));
  return scored;
}

std::vector<ScoredMethod> run_methods(const ScoreOptions& options, const DynamicsSource& source,
                                      Device& device) {
  std::vector<ScoredMethod> scored;
  for (const std::string& name : options.methods) {
    const Method& method = find_method(name);
    auto computed = method.compute(method, source, settings_of(method, options, source), device);
    const auto samples = static_cast<std::int64_t>(computed.front().score.size());
    const std::string missing = text_of_missing(computed.front().visits, samples);
    if (!missing.empty()) print_out("{}\n", missing);
    for (MethodScore& each : computed) scored.push_back(describe(options.mask_path, method, std::move(each)));
  }
  check_usage(!scored.empty(), "--method is empty; --list names the methods");
  return scored;
}

bool selects(const ScoreOptions& options) {
  const auto& rate = options.subset_rate;
  const auto& keep = options.keep;
  check_usage(!rate || (*rate > 0 && *rate < 1),
              "--subset_rate is {}; it is the share that is pruned, between 0 and 1", rate.value_or(0));
  check_usage(!keep || (*keep > 0 && (*keep < 1 || *keep == std::floor(*keep))),
              "--keep is {}; it is a share between 0 and 1 or a whole number of samples", keep.value_or(0));
  check_usage(!rate || !keep, "--subset_rate and --keep say the same thing; give one of them");
  check_usage(rate || keep || options.selection == "top",
              "--selection {} chooses the kept samples: say how many with --subset_rate or --keep",
              options.selection);
  return rate || keep;
}

const std::vector<std::string>& selection_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    names.reserve(kSelections.size());
    for (const auto& [name, kept] : kSelections) names.emplace_back(name);
    return names;
  }();
  return kNames;
}

const char* kept_by(const std::string& selection) {
  const auto* found = std::find_if(kSelections.begin(), kSelections.end(),
                                   [&](const auto& each) { return each.first == selection; });
  return found->second;
}

double pruning_rate(const ScoreOptions& options, std::int64_t samples) {
  if (!options.keep) return options.subset_rate.value_or(0);
  const double keep = *options.keep;
  check_usage(keep <= static_cast<double>(samples), "--keep is {}, and there are only {} samples; give fewer",
              keep, samples);
  // A share keeps as many samples as the rate 1 - keep without its rounding error: 1 - 0.9 is less than 0.1
  // in doubles.
  constexpr double kRounding = 1e-12;
  const double count = keep < 1 ? std::ceil(keep * static_cast<double>(samples) * (1 - kRounding)) : keep;
  return rate_keeping(static_cast<std::int64_t>(count), samples);
}

Selection select(const ScoredMethod& scored, const ScoreOptions& options, const DynamicsSource* source) {
  const auto samples = static_cast<std::int64_t>(scored.score.size());
  const double rate = pruning_rate(options, samples);
  Selection selection{options.selection,
                      options.keep ? fmt::format("keep{}", *options.keep) : fmt::format("rate{}", rate),
                      rate,
                      {},
                      {{"selection", options.selection}}};
  // The direction of `top` is the one that the method states.
  if (selection.name != "top") selection.how["direction"] = kept_by(selection.name);
  if (selection.name == "top" || selection.name == "bottom") {
    const std::vector<std::int64_t> order = order_by_score(scored.score);
    if (selection.name == "top") {
      selection.ids = kept_ids(order, rate);
    } else {
      selection.ids = order;
      selection.ids.resize(order.size() - static_cast<std::size_t>(pruned_count(rate, samples)));
    }
    std::sort(selection.ids.begin(), selection.ids.end());
    return selection;
  }
  check(source != nullptr,
        "the selection {} needs the recording that the scores were computed from: restore it",
        selection.name);
  const DynamicsReader& dynamics = source->store_for("--selection " + selection.name);
  if (selection.name == "balanced") {
    check(!dynamics.header().labels.empty(), "{} holds no labels, so no classes can be balanced",
          source->path());
    selection.ids = select_balanced(scored.score, dynamics.header().labels, dynamics.header().classes, rate);
  } else if (selection.name == "ccs") {
    const auto hardness = compute_scores(methods::kAum, dynamics, options.method);
    CcsOptions ccs = options.ccs;
    ccs.seed = options.method.seed;
    selection.ids = select_ccs(scored.score, hardness, rate, ccs);
    selection.how.update({{"ccs_beta", ccs.beta}, {"ccs_strata", ccs.strata}, {"seed", ccs.seed}});
  } else {
    const std::int32_t epochs = epochs_used(methods::kDual, dynamics, options.method);
    const std::uint64_t seed = options.method.seed;
    selection.ids = select_beta(scored.score, mean_confidence(dynamics, epochs), rate, options.beta_c, seed);
    selection.how.update({{"beta_c", options.beta_c}, {"confidence_epochs", epochs}, {"seed", seed}});
  }
  return selection;
}

}  // namespace tdds
