#include "tdds/methods/method.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "kernels/runtime/check.h"

namespace tdds {

void check_method_options(const MethodOptions& options) {
  check_usage(options.epochs >= 0,
              "`method_epochs` is {}; give the number of epochs, or 0 for each method's own", options.epochs);
  check_usage(options.window_size >= 2, "`method_window` is {}; a window has at least 2 epochs",
              options.window_size);
}

std::span<const Method* const> all_methods() {
  using namespace methods;
  static constexpr std::array kAll{&kTdds,   &kTddsKl,     &kRandom,         &kEntropy, &kEl2n,
                                   &kGrand,  &kForgetting, &kForgettingZero, &kAum,     &kAumLogit,
                                   &kDynUnc, &kDual,       &kModerate};
  return kAll;
}

const Method& find_method(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Method* method : all_methods()) {
    if (name == method->name) return *method;
    names.emplace_back(method->name);
  }
  throw UsageError(fmt::format("there is no method '{}'; choose from {}", name, fmt::join(names, ", ")));
}

std::string names_of(bool (*which)(const Method&)) {
  std::vector<std::string_view> names;
  for (const Method* method : all_methods())
    if (which(*method)) names.emplace_back(method->name);
  return fmt::format("{}", fmt::join(names, " and "));
}

bool has_windows(const Method& method) {
  return method.horizon == Horizon::kWindows;
}
bool has_trajectory(const Method& method) {
  return method.horizon == Horizon::kTrajectory;
}
bool needs_finished_net(const Method& method) {
  return method.horizon == Horizon::kFinishedNet;
}
bool needs_feature_norm(const Method& method) {
  return std::find(method.needs.begin(), method.needs.end(), DynamicsField::kFeatureNorm) !=
         method.needs.end();
}
bool needs_features(const Method& method) {
  return needs_feature_norm(method) || needs_finished_net(method);
}

std::string to_string(const Method& method, const MethodOptions& used) {
  switch (method.horizon) {
    case Horizon::kEpochs:
      return fmt::format("epochs 0 to {}", used.epochs - 1);
    case Horizon::kWindows:
      return fmt::format("epochs 0 to {}, J={}", used.epochs - 1, used.window_size);
    case Horizon::kTrajectory:
      return fmt::format("T={} J={} decay={}", used.epochs, used.window_size, used.decay);
    case Horizon::kFinishedNet:
      return fmt::format("features after {} epochs", used.epochs);
  }
  return "";
}

std::int32_t epochs_used(const Method& method, const DynamicsReader& dynamics, const MethodOptions& options) {
  std::int32_t epochs = dynamics.epochs();
  if (method.epochs > 0) epochs = std::min(epochs, method.epochs);
  if (options.epochs > 0) epochs = options.epochs;
  const std::int32_t least = std::max(method.least_epochs, std::int32_t{1});
  check(epochs <= dynamics.epochs(),
        "{} was asked to use {} epochs, but {} holds {}; train longer or ask for less", method.name, epochs,
        dynamics.path(), dynamics.epochs());
  check(epochs >= least, "{} needs {} epochs, but {} holds {}; train longer", method.name, least,
        dynamics.path(), epochs);
  return epochs;
}

std::int32_t default_window(std::int32_t epochs) {
  return std::max(2, std::min(10, epochs / 2));
}

std::int32_t least_epochs(const Method& method, const MethodOptions& options) {
  const bool windows = has_windows(method) || has_trajectory(method);
  return std::max({method.least_epochs, std::int32_t{1}, windows ? options.window_size : 0});
}

std::vector<float> compute_scores(const Method& method, const DynamicsReader& dynamics,
                                  const MethodOptions& options) {
  for (const DynamicsField field : method.needs)
    check(dynamics.has(field), "{} needs '{}', which {} does not hold; train again with {}", method.name,
          to_string(field), dynamics.path(), flag_recording(field));
  const std::int32_t epochs = epochs_used(method, dynamics, options);
  const auto scorer = method.make(dynamics.samples(), options);
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const EpochView view = view_of(dynamics, epoch);
    check_epoch(view, method.needs, dynamics.samples(), epoch, dynamics.path());
    scorer->add(view);
    dynamics.release(epoch);
  }
  return scorer->score();
}

std::vector<MethodScore> scores_of_epochs(const Method& method, const DynamicsSource& source,
                                          std::span<const MethodOptions> settings, Device&) {
  const DynamicsReader& dynamics = source.store_for(method.name);
  std::vector<MethodScore> scores;
  for (const MethodOptions& options : settings) {
    scores.push_back({options, compute_scores(method, dynamics, options)});
    scores.back().used.epochs = epochs_used(method, dynamics, options);
  }
  return scores;
}

MeanConfidence mean_confidence(const DynamicsReader& dynamics, std::int32_t epochs) {
  const auto samples = static_cast<std::size_t>(dynamics.samples());
  MeanConfidence mean{std::vector<double>(samples), std::vector<double>(samples)};
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const float* loss = dynamics.loss(epoch);
    for (std::size_t i = 0; i < samples; ++i) {
      mean.p[i] += std::exp(-static_cast<double>(loss[i])) / epochs;
      mean.miss[i] -= std::expm1(-static_cast<double>(loss[i])) / epochs;
    }
  }
  return mean;
}

}  // namespace tdds
