#pragma once
// The learning rate of every step, as a table (docs/architecture.md 7.1: cosine annealing per step, as the official scripts
// use it):
//
//   lr_t = lr / 2 * (1 + cos(pi * t / t_max)),   t = 0 .. steps - 1
//
// t_max need not be whole, nor the number of steps: past t_max the rate rises again, as PyTorch's does.

#include <cstdint>
#include <vector>

namespace tdds {

std::vector<float> cosine_schedule(double lr, double t_max, std::int64_t steps);

// T_max of the official train.py: epochs * (samples / batch), a quotient of real numbers.
double full_t_max(std::int32_t epochs, std::int64_t samples, std::int32_t batch);
// T_max of training on a subset: epochs * ceil(samples * (1 - rate) / batch), in double as Python computes
// it.
double subset_t_max(std::int32_t epochs, std::int64_t samples, double rate, std::int32_t batch);

}  // namespace tdds
