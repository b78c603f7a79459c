#include "apps/sweep/sweep_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "apps/score/score_run.h"
#include "engine/trainer.h"
#include "kernels/runtime/check.h"
#include "tdds/methods/method.h"
#include "tdds/selection/selection.h"
#include "tdds/selection/strategy.h"

namespace tdds {
namespace {

// Rows with their own names: a score with the selection of its paper.
struct NamedRow {
  const char* name;
  const Method* score;
  const char* selection;
};
constexpr std::array<NamedRow, 2> kNamedRows{
    {{"ccs", &methods::kAum, "ccs"}, {"dual_beta", &methods::kDual, "beta"}}};

SweepMethod parse_method(const std::string& name) {
  for (const NamedRow& row : kNamedRows)
    if (name == row.name) return {name, row.score, row.selection};
  const std::size_t plus = name.find('+');
  SweepMethod method{name, &find_method(name.substr(0, plus)),
                     plus == std::string::npos ? "top" : name.substr(plus + 1)};
  const std::vector<std::string>& known = selection_names();
  check_usage(std::find(known.begin(), known.end(), method.selection) != known.end(),
              "'{}' has no selection '{}'; choose {}", name, method.selection, fmt::join(known, ", "));
  return method;
}

std::vector<std::string> every_method() {
  std::vector<std::string> names;
  for (const Method* method : all_methods()) names.emplace_back(method->name);
  for (const NamedRow& row : kNamedRows) names.emplace_back(row.name);
  return names;
}

// A flag's value for a rate; it has one value for all rates or one for each.
template <class T>
T value_for(const std::vector<T>& values, std::size_t rate_index) {
  return values.size() == 1 ? values[0] : values[rate_index];
}

void check_per_rate(std::size_t values, std::size_t rates, const char* flag, bool optional = false) {
  check_usage(values == 1 || values == rates || (optional && values == 0),
              "{} has {} values for {} rates; give one for all of them or one for each", flag, values, rates);
}

template <class T>
void check_distinct(const std::vector<T>& values, const char* flag) {
  check_usage(!values.empty(), "{} is empty", flag);
  std::set<T> seen;
  for (const T& value : values) check_usage(seen.insert(value).second, "{} names {} twice", flag, value);
}

std::int32_t epochs_on_subset(const SweepFlags& flags, const TrainConfig& config, std::int64_t samples,
                              std::int64_t kept, std::int32_t batch) {
  if (flags.budget == Budget::kEpochs) return config.train.epochs;
  const std::int64_t budget = config.train.epochs * steps_per_epoch(samples, config.train.batch);
  const double epochs = static_cast<double>(budget) / static_cast<double>(steps_per_epoch(kept, batch));
  return std::max(1, static_cast<std::int32_t>(std::lround(epochs)));
}

// Checks that a training of this many epochs is enough for the score.
void check_score(const SweepMethod& method, const SweepFlags& flags, std::int32_t epochs) {
  if (has_trajectory(*method.score)) {
    for (std::size_t i = 0; i < flags.rates.size(); ++i)
      check_setting(tdds_setting(flags, i, epochs), flags.score_decay, epochs, "the training on all samples");
    return;
  }
  std::int32_t used = method.score->epochs > 0 ? std::min(method.score->epochs, epochs) : epochs;
  if (flags.method_epochs > 0) used = flags.method_epochs;
  const std::int32_t least = least_epochs(*method.score, {.window_size = method_window(flags, epochs)});
  check_usage(least <= used, "{} needs {} epochs of training, and would use {} of {} (--epochs)", method.name,
              least, used, epochs);
}

// Checks that samples can be drawn with Beta weights from the score.
void check_beta(const SweepMethod& method, const SweepFlags& flags, std::int32_t epochs) {
  check_usage(!method.score->can_be_negative,
              "{}: the weights of a Beta draw are scores of at least 0, and those of {} can be negative; "
              "choose another selection or another score (--methods)",
              method.name, method.score->name);
  const std::int32_t used = flags.method_epochs > 0 ? flags.method_epochs : epochs;
  check_usage(used >= methods::kDual.least_epochs,
              "{} needs the confidences of {} epochs of training, but uses {} (--epochs, --method_epochs)",
              method.name, methods::kDual.least_epochs, used);
}

void check_cut_off(const SweepFlags& flags) {
  for (std::size_t i = 0; i < flags.rates.size(); ++i)
    check_usage(value_for(flags.ccs_betas, i) >= 0 && value_for(flags.ccs_betas, i) <= flags.rates[i],
                "--ccs_beta is {} at the rate {}; it is a part of what is pruned: 0 <= beta <= rate",
                value_for(flags.ccs_betas, i), flags.rates[i]);
}

}  // namespace

std::vector<SweepMethod> parse_methods(const std::vector<std::string>& names) {
  std::vector<SweepMethod> methods;
  const auto add = [&](const std::string& name) {
    const auto known = [&](const SweepMethod& method) { return method.name == name; };
    if (std::none_of(methods.begin(), methods.end(), known)) methods.push_back(parse_method(name));
  };
  for (const std::string& name : names) {
    if (name == "every")
      for (const std::string& each : every_method()) add(each);
    else if (name != "all")
      add(name);
  }
  check_usage(
      !methods.empty(),
      "--methods names no method besides 'all', the training on all samples; 'every' stands for every "
      "method");
  return methods;
}

ScoreSetting tdds_setting(const SweepFlags& flags, std::size_t rate_index, std::int32_t epochs) {
  struct Choice {
    double rate;
    int trajectory_len, window_size;
  };
  static constexpr std::array<Choice, 5> kPaper{
      {{0.3, 90, 10}, {0.5, 70, 10}, {0.7, 60, 20}, {0.8, 20, 10}, {0.9, 10, 5}}};
  const double rate = flags.rates[rate_index];
  const Choice& choice = *std::min_element(
      kPaper.begin(), kPaper.end(),
      [&](const Choice& a, const Choice& b) { return std::abs(a.rate - rate) < std::abs(b.rate - rate); });
  ScoreSetting setting{std::min(choice.trajectory_len, epochs), choice.window_size};
  if (!flags.trajectory_lens.empty()) setting.trajectory_len = value_for(flags.trajectory_lens, rate_index);
  if (!flags.window_sizes.empty())
    setting.window_size = value_for(flags.window_sizes, rate_index);
  else
    setting.window_size = std::max(3, std::min(setting.window_size, setting.trajectory_len / 2));
  return setting;
}

bool need_features(const std::vector<SweepMethod>& methods) {
  return std::any_of(methods.begin(), methods.end(),
                     [](const SweepMethod& method) { return needs_features(*method.score); });
}

std::int32_t method_window(const SweepFlags& flags, std::int32_t epochs) {
  if (flags.method_window > 0) return flags.method_window;
  return default_window(flags.method_epochs > 0 ? flags.method_epochs : epochs);
}

void check_sweep(const SweepFlags& flags, const TrainConfig& config) {
  check_config(config);
  const std::size_t rates = flags.rates.size();
  for (const double rate : flags.rates)
    check_usage(rate > 0 && rate < 1, "--rates names {}; a rate is the share that is pruned, between 0 and 1",
                rate);
  check_distinct(flags.rates, "--rates");
  check_distinct(flags.seeds, "--seeds");
  check_usage(config.train.epochs >= 1, "--epochs is {}; give 1 or more", config.train.epochs);
  check_usage(flags.method_epochs >= 0 && flags.method_epochs <= config.train.epochs,
              "--method_epochs is {}, and the training has {} epochs (--epochs)", flags.method_epochs,
              config.train.epochs);
  check_usage(
      flags.method_window >= 0 && flags.method_window <= config.train.epochs,
      "--method_window is {}, and the training has {} epochs (--epochs): the window must fit into them",
      flags.method_window, config.train.epochs);
  check_per_rate(flags.trajectory_lens.size(), rates, "--trajectory_len", true);
  check_per_rate(flags.window_sizes.size(), rates, "--window_size", true);
  check_per_rate(flags.subset_batches.size(), rates, "--subset_batch_size");
  check_per_rate(flags.ccs_betas.size(), rates, "--ccs_beta");
  check_usage(flags.ccs_strata >= 1, "--ccs_strata is {}; give 1 or more", flags.ccs_strata);
  check_beta_exponent(flags.beta_c);
  for (const SweepMethod& method : parse_methods(flags.methods)) {
    check_score(method, flags, config.train.epochs);
    if (method.selection == "beta") check_beta(method, flags, config.train.epochs);
    if (method.selection == "ccs") check_cut_off(flags);
  }
}

std::vector<SweepRun> plan_sweep(const SweepFlags& flags, const TrainConfig& config, const Dataset& data) {
  const std::int64_t samples = data.train.count();
  const std::vector<SweepMethod> methods = parse_methods(flags.methods);
  for (const SweepMethod& method : methods)
    if (method.selection == "ccs") check_strata(flags.ccs_strata, samples);
  std::vector<SweepRun> runs;
  for (const std::uint64_t seed : flags.seeds) {
    for (std::size_t i = 0; i < flags.rates.size(); ++i) {
      const double rate = flags.rates[i];
      const std::int64_t kept = samples - pruned_count(rate, samples);
      check_usage(kept >= data.classes,
                  "a rate of {} keeps {} of {} samples, fewer than the {} classes; lower it (--rates)", rate,
                  kept, samples, data.classes);
      const std::int32_t batch = value_for(flags.subset_batches, i);
      batch_sizes(kept, batch, config.train.accumulate);
      const std::int32_t epochs = epochs_on_subset(flags, config, samples, kept, batch);
      for (const SweepMethod& method : methods)
        runs.push_back({.method = method,
                        .rate = rate,
                        .seed = seed,
                        .kept = kept,
                        .epochs = epochs,
                        .batch = batch,
                        .steps = epochs * steps_per_epoch(kept, batch),
                        .setting = tdds_setting(flags, i, config.train.epochs),
                        .ccs_beta = value_for(flags.ccs_betas, i),
                        .folder = run_folder(seed, method.name, rate)});
    }
  }
  return runs;
}

std::string scoring_folder(std::uint64_t seed) {
  return fmt::format("seed{}/all", seed);
}

std::string scores_folder(std::uint64_t seed) {
  return fmt::format("seed{}/scores", seed);
}

std::string run_folder(std::uint64_t seed, const std::string& method, double rate) {
  return fmt::format("seed{}/{}_{}", seed, method, rate);
}

}  // namespace tdds
