#include "tdds/methods/method.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/check.h"

namespace tdds {
namespace {

void check_finite(const DynamicsReader& dynamics, DynamicsField field, std::int32_t epochs) {
  if (field == DynamicsField::kCorrect) return;
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const float* values = dynamics.values(field, epoch);
    const float* end = values + dynamics.samples();
    const float* bad = std::find_if_not(values, end, [](float value) { return std::isfinite(value); });
    check(bad == end,
          "{} holds a '{}' that is not finite, of sample {} in epoch {}: training had failed there",
          dynamics.path(), name_of(field), bad - values, epoch);
  }
}

}  // namespace

std::span<const Method* const> all_methods() {
  static constexpr std::array<const Method*, 9> kAll{
      &methods::kRandom,     &methods::kEntropy,        &methods::kEl2n,
      &methods::kForgetting, &methods::kForgettingZero, &methods::kAum,
      &methods::kAumLogit,   &methods::kDynUnc,         &methods::kDual};
  return kAll;
}

const Method& find_method(std::string_view name) {
  std::string names = "tdds";
  for (const Method* method : all_methods()) {
    if (name == method->name) return *method;
    names += fmt::format(", {}", method->name);
  }
  throw UsageError(fmt::format("there is no method '{}'; choose from {}", name, names));
}

std::int32_t epochs_used(const Method& method, const DynamicsReader& dynamics, const MethodOptions& options) {
  std::int32_t epochs = dynamics.epochs();
  if (method.epochs > 0) epochs = std::min(epochs, method.epochs);
  if (options.epochs > 0) epochs = options.epochs;
  const std::int32_t least = std::max(method.least_epochs, std::int32_t{1});
  check(epochs <= dynamics.epochs(),
        "{} was asked to use {} epochs and {} holds {}; train longer or ask for less", method.name, epochs,
        dynamics.path(), dynamics.epochs());
  check(epochs >= least, "{} needs {} epochs and {} holds {}; train longer", method.name, least,
        dynamics.path(), epochs);
  return epochs;
}

std::vector<float> compute_scores(const Method& method, const DynamicsReader& dynamics,
                                  const MethodOptions& options) {
  for (const DynamicsField field : method.needs)
    check(dynamics.has(field), "{} needs '{}', which {} does not hold; train again with --dynamics",
          method.name, name_of(field), dynamics.path());
  const std::int32_t epochs = epochs_used(method, dynamics, options);
  for (const DynamicsField field : method.needs) check_finite(dynamics, field, epochs);
  return method.compute(dynamics, epochs, options);
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
