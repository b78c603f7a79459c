#include "engine/schedule.h"

#include <cmath>
#include <numbers>

#include "kernels/runtime/check.h"

namespace tdds {

namespace {

double annealed(double lr, double t, double t_max) {
  return lr / 2 * (1 + std::cos(std::numbers::pi * t / t_max));
}

}  // namespace

const char* to_string(Decay decay) {
  return decay == Decay::kCosine ? "cosine" : "step";
}

std::vector<float> learning_rates(const Schedule& schedule, double lr, double t_max,
                                  std::int64_t steps_per_epoch, std::int32_t epochs) {
  check_usage(schedule.warmup_epochs >= 0 && schedule.warmup_epochs < epochs,
              "a warm-up of {} epochs does not fit into {} (`warmup_epochs`)", schedule.warmup_epochs,
              epochs);
  check_usage(schedule.step_epochs > 0 && schedule.gamma > 0 && schedule.gamma <= 1,
              "the learning rate cannot fall by the factor {} every {} epochs; the factor must be above 0 "
              "and at most "
              "1, the epochs above 0 (`lr_gamma`, `lr_step_epochs`)",
              schedule.gamma, schedule.step_epochs);
  const auto per_epoch = static_cast<double>(steps_per_epoch);
  const auto warmup = static_cast<std::int64_t>(std::llround(schedule.warmup_epochs * per_epoch));
  std::vector<float> table(static_cast<std::size_t>(steps_per_epoch * epochs));
  for (std::int64_t t = 0; t < steps_per_epoch * epochs; ++t) {
    const auto at = static_cast<double>(t), w = static_cast<double>(warmup);
    double rate = 0;
    if (t < warmup)
      rate = lr * (at + 1) / w;
    else if (schedule.decay == Decay::kCosine)
      rate = annealed(lr, at - w, t_max - w);
    else
      rate = lr * std::pow(schedule.gamma, std::floor(std::floor(at / per_epoch) / schedule.step_epochs));
    table[static_cast<std::size_t>(t)] = static_cast<float>(rate);
  }
  return table;
}

std::vector<float> cosine_schedule(double lr, double t_max, std::int64_t steps) {
  std::vector<float> table(steps);
  for (std::int64_t t = 0; t < steps; ++t)
    table[t] = static_cast<float>(annealed(lr, static_cast<double>(t), t_max));
  return table;
}

double full_t_max(std::int32_t epochs, std::int64_t samples, std::int32_t batch) {
  return epochs * (static_cast<double>(samples) / batch);
}

double subset_t_max(std::int32_t epochs, std::int64_t samples, double rate, std::int32_t batch) {
  return epochs * std::ceil(static_cast<double>(samples) * (1 - rate) / batch);
}

}  // namespace tdds
