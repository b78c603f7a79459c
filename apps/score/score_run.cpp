#include "apps/score_run.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "kernels/check.h"
#include "tdds/moderate.h"

namespace tdds {
namespace {

void score_by_tdds(const TddsVariant& variant, const ScoreOptions& options, const DynamicsSource& source,
                   Device& device, std::vector<ScoredMethod>& scored) {
  std::vector<ScoreSetting> left_out;
  const std::vector<ScoreSetting> settings = fitting_settings(
      options.trajectory_lens, options.window_sizes, options.decay, source.epochs(), source.path(), left_out);
  for (const ScoreSetting& setting : left_out)
    fmt::print("{} is left out: the window does not fit into the trajectory\n", text_of(setting));
  int epochs = 0;
  for (const ScoreSetting& setting : settings) epochs = std::max(epochs, setting.trajectory_len);
  auto scores = tdds_scores(device, source.series(epochs, variant.series), settings, options.decay);
  for (std::size_t i = 0; i < settings.size(); ++i)
    scored.push_back(
        describe_tdds(options.mask_path, variant, settings[i], options.decay, std::move(scores[i])));
}

const DynamicsReader& store_of(const DynamicsSource& source, std::string_view what) {
  check(source.store() != nullptr,
        "{} needs the dynamics store that tdds-train --dynamics writes; {} holds official .npy files", what,
        source.path());
  return *source.store();
}

void score_by_moderate(const ScoreOptions& options, const DynamicsSource& source,
                       std::vector<ScoredMethod>& scored) {
  const DynamicsReader& dynamics = store_of(source, kModerate);
  const DynamicsHeader& run = dynamics.header();
  check(!run.labels.empty(), "{} holds no labels, and moderate measures distances within classes",
        source.path());
  const Features features = read_features(features_beside(source.path()), run, dynamics.epochs());
  scored.push_back({fmt::format("{} (features after {} epochs)", kModerate, features.epochs),
                    kModerate,
                    ranking_files(options.mask_path, kModerate),
                    {{"method", kModerate},
                     {"score", kModerateScore},
                     {"direction", kModerateKept},
                     {"source", kModerateSource},
                     {"epochs", features.epochs}},
                    moderate_scores(features, run.labels, run.classes)});
}

void score_by(const Method& method, const ScoreOptions& options, const DynamicsSource& source,
              std::vector<ScoredMethod>& scored) {
  const DynamicsReader& dynamics = store_of(source, method.name);
  auto score = compute_scores(method, dynamics, options.method);
  scored.push_back(describe(options.mask_path, method, epochs_used(method, dynamics, options.method),
                            options.method, std::move(score)));
}

}  // namespace

ScoredMethod describe_tdds(const std::string& folder, const TddsVariant& variant, const ScoreSetting& setting,
                           double decay, std::vector<float> score) {
  const auto [t, j] = setting;
  const std::string stem = fmt::format("{}_win{}_ep{}", variant.name, j, t);
  const bool official = &variant == &kTdds;
  return {fmt::format("{} {} decay={}", variant.name, text_of(setting), decay),
          stem,
          official ? official_ranking_files(folder, j, t) : ranking_files(folder, stem),
          {{"method", variant.name},
           {"score", variant.score},
           {"direction", variant.kept},
           {"source", variant.source},
           {"trajectory_len", t},
           {"window_size", j},
           {"decay", decay}},
          std::move(score)};
}

ScoredMethod describe(const std::string& folder, const Method& method, std::int32_t epochs,
                      const MethodOptions& options, std::vector<float> score) {
  ScoredMethod scored{fmt::format("{} (epochs 0 to {})", method.name, epochs - 1),
                      method.name,
                      ranking_files(folder, method.name),
                      {{"method", method.name},
                       {"score", method.score},
                       {"direction", method.kept},
                       {"source", method.source},
                       {"epochs", epochs}},
                      std::move(score)};
  if (method.windowed) scored.how["window_size"] = options.window_size;
  if (&method == &methods::kRandom) scored.how["seed"] = options.seed;
  return scored;
}

std::vector<ScoredMethod> compute_scores(const ScoreOptions& options, const DynamicsSource& source,
                                         Device& device) {
  std::vector<ScoredMethod> scored;
  for (const std::string& name : options.methods) {
    if (const TddsVariant* variant = find_tdds_variant(name))
      score_by_tdds(*variant, options, source, device, scored);
    else if (name == kModerate)
      score_by_moderate(options, source, scored);
    else
      score_by(find_method(name), options, source, scored);
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
  kept_by(options.selection);
  check_usage(rate || keep || options.selection == "top",
              "--selection {} chooses the kept samples: say how many with --subset_rate or --keep",
              options.selection);
  return rate || keep;
}

const char* kept_by(const std::string& selection) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 5> kWays{
      {{"top", "the highest scores"},
       {"bottom", "the lowest scores"},
       {"balanced", "the highest scores of each class"},
       {"ccs", "samples drawn from strata of the scores"},
       {"beta", "samples drawn with Beta weights"}}};
  for (const auto& [name, kept] : kWays)
    if (selection == name) return kept;
  throw UsageError(
      fmt::format("there is no selection '{}'; choose top, bottom, balanced, ccs or beta", selection));
}

double pruning_rate(const ScoreOptions& options, std::int64_t samples) {
  if (!options.keep) return options.subset_rate.value_or(0);
  const double keep = *options.keep;
  check_usage(keep <= static_cast<double>(samples), "--keep is {} and there are {} samples", keep, samples);
  // Of a share as many as the rate 1 - keep leaves, had it no rounding error: 1 - 0.9 is less than 0.1 in doubles.
  constexpr double kRounding = 1e-12;
  const double count = keep < 1 ? std::ceil(keep * static_cast<double>(samples) * (1 - kRounding)) : keep;
  return rate_keeping(static_cast<std::int64_t>(count), samples);
}

Selection select(const ScoredMethod& scored, const ScoreOptions& options, const DynamicsSource& source) {
  const auto samples = static_cast<std::int64_t>(scored.score.size());
  const double rate = pruning_rate(options, samples);
  Selection selection{options.selection,
                      options.keep ? fmt::format("keep{}", *options.keep) : fmt::format("rate{}", rate),
                      rate,
                      {},
                      {{"selection", options.selection}}};
  // The highest scores are what the method itself says.
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
  const DynamicsReader& dynamics = store_of(source, "--selection " + selection.name);
  if (selection.name == "balanced") {
    check(!dynamics.header().labels.empty(), "{} holds no labels, so no classes can be balanced",
          source.path());
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
