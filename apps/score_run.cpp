#include "apps/score_run.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "kernels/check.h"
#include "tdds/tdds_score.h"

namespace tdds {
namespace {

// All pairs with J <= T. A list may hold pairs that make no sense together: those are told and left out.
std::vector<ScoreSetting> settings_of(const ScoreOptions& options, const DynamicsSource& source) {
  std::vector<ScoreSetting> settings;
  const bool single = options.trajectory_lens.size() * options.window_sizes.size() == 1;
  for (const int t : options.trajectory_lens) {
    for (const int j : options.window_sizes) {
      const ScoreSetting setting{t, j};
      if (!single && j >= 3 && j > t) {
        fmt::print("{} is left out: the window does not fit into the trajectory\n", text_of(setting));
        continue;
      }
      check_setting(setting, options.decay, source.epochs(), source.path());
      settings.push_back(setting);
    }
  }
  check_usage(!settings.empty(), "no pair of --trajectory_len and --window_size has J <= T");
  return settings;
}

void score_by_tdds(const ScoreOptions& options, const DynamicsSource& source, Device& device,
                   std::vector<ScoredMethod>& scored) {
  const std::vector<ScoreSetting> settings = settings_of(options, source);
  int epochs = 0;
  for (const ScoreSetting& setting : settings) epochs = std::max(epochs, setting.trajectory_len);
  auto scores = tdds_scores(device, source.series(epochs), settings, options.decay);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const auto [t, j] = settings[i];
    scored.push_back({fmt::format("tdds {} decay={}", text_of(settings[i]), options.decay),
                      fmt::format("tdds_win{}_ep{}", j, t),
                      official_ranking_files(options.mask_path, j, t),
                      {{"method", "tdds"},
                       {"score", kTddsScore},
                       {"direction", kTddsKept},
                       {"source", kTddsSource},
                       {"trajectory_len", t},
                       {"window_size", j},
                       {"decay", options.decay}},
                      std::move(scores[i])});
  }
}

const DynamicsReader& store_of(const DynamicsSource& source, std::string_view what) {
  check(source.store() != nullptr,
        "{} needs the dynamics store that tdds-train --dynamics writes; {} holds official .npy files", what,
        source.path());
  return *source.store();
}

void score_by(const Method& method, const ScoreOptions& options, const DynamicsSource& source,
              std::vector<ScoredMethod>& scored) {
  const DynamicsReader& dynamics = store_of(source, method.name);
  auto score = compute_scores(method, dynamics, options.method);
  const std::int32_t epochs = epochs_used(method, dynamics, options.method);
  const auto file = [&](const char* what) {
    return fmt::format("{}/{}_{}.npy", options.mask_path, what, method.name);
  };
  scored.push_back({fmt::format("{} (epochs 0 to {})", method.name, epochs - 1),
                    method.name,
                    {file("data_mask"), file("score")},
                    {{"method", method.name},
                     {"score", method.score},
                     {"direction", method.kept},
                     {"source", method.source},
                     {"epochs", epochs},
                     {"window_size", options.method.window_size},
                     {"seed", options.method.seed}},
                    std::move(score)});
}

}  // namespace

std::vector<ScoredMethod> compute_scores(const ScoreOptions& options, const DynamicsSource& source,
                                         Device& device) {
  std::vector<ScoredMethod> scored;
  for (const std::string& name : options.methods) {
    if (name == "tdds")
      score_by_tdds(options, source, device, scored);
    else
      score_by(find_method(name), options, source, scored);
  }
  check_usage(!scored.empty(), "--method is empty; --list names the methods");
  return scored;
}

Selection select(const ScoredMethod& scored, const ScoreOptions& options, const DynamicsSource& source) {
  const double rate = options.subset_rate;
  Selection selection{options.selection, rate, {}, {{"selection", options.selection}}};
  if (selection.name == "top") {
    selection.ids = kept_ids(order_by_score(scored.score), rate);
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
    check_usage(selection.name == "beta", "there is no selection '{}'; choose top, balanced, ccs or beta",
                selection.name);
    const std::int32_t epochs = epochs_used(methods::kDual, dynamics, options.method);
    const std::uint64_t seed = options.method.seed;
    selection.ids = select_beta(scored.score, mean_confidence(dynamics, epochs), rate, options.beta_c, seed);
    selection.how.update({{"beta_c", options.beta_c}, {"confidence_epochs", epochs}, {"seed", seed}});
  }
  return selection;
}

}  // namespace tdds
