#include "engine/schedule.h"

#include <cmath>
#include <numbers>

namespace tdds {

std::vector<float> cosine_schedule(double lr, double t_max, std::int64_t steps) {
  std::vector<float> table(steps);
  for (std::int64_t t = 0; t < steps; ++t)
    table[t] = static_cast<float>(lr / 2 * (1 + std::cos(std::numbers::pi * static_cast<double>(t) / t_max)));
  return table;
}

double full_t_max(std::int32_t epochs, std::int64_t samples, std::int32_t batch) {
  return epochs * (static_cast<double>(samples) / batch);
}

double subset_t_max(std::int32_t epochs, std::int64_t samples, double rate, std::int32_t batch) {
  return epochs * std::ceil(static_cast<double>(samples) * (1 - rate) / batch);
}

}  // namespace tdds
