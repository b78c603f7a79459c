#pragma once
// The learning rate of every step, as a table. The official scripts anneal it by a cosine per step
// (docs/architecture.md 7.1); recipes for ImageNet warm up first, and some fall in steps.
//
//   cosine:  lr_t = lr / 2 * (1 + cos(pi * (t - w) / (t_max - w)))
//   step:    lr_t = lr * gamma^floor(e / step_epochs),  e the epoch of step t
//   warm-up: lr_t = lr * (t + 1) / w  for t < w, in place of the above
//
// t = 0 .. steps - 1; w, the steps of the warm-up, is 0 without one. t_max need be neither an integer nor
// the number of steps: after t_max the rate rises again, as PyTorch's does.

#include <array>
#include <cstdint>
#include <vector>

namespace tdds {

enum class Decay : std::uint8_t { kCosine, kStep };
inline constexpr std::array kDecays{Decay::kCosine, Decay::kStep};
const char* to_string(Decay decay);  // "cosine", "step"

struct Schedule {
  Decay decay = Decay::kCosine;
  double warmup_epochs = 0;
  double step_epochs = 30, gamma = 0.1;  // of kStep
};

// Throws UsageError for an invalid schedule, such as a warm-up as long as the training.
std::vector<float> learning_rates(const Schedule& schedule, double lr, double t_max,
                                  std::int64_t steps_per_epoch, std::int32_t epochs);

// The cosine alone.
std::vector<float> cosine_schedule(double lr, double t_max, std::int64_t steps);

// T_max of the official train.py: epochs * (samples / batch), a quotient of real numbers.
double full_t_max(std::int32_t epochs, std::int64_t samples, std::int32_t batch);
// T_max of training on a subset: epochs * ceil(samples * (1 - rate) / batch), in double as in Python.
double subset_t_max(std::int32_t epochs, std::int64_t samples, double rate, std::int32_t batch);

}  // namespace tdds
