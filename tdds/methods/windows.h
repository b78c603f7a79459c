#pragma once
// Means over the sliding windows of a sample's p_y, for Dyn-Unc and DUAL.

#include <cstdint>
#include <vector>

#include "engine/dynamics_store.h"

namespace tdds::methods {

// Of each window k = 0 .. T-J of J epochs: the unbiased standard deviation of p_y and the mean of 1 - p_y.
using WindowTerm = double (*)(double deviation, double mean_miss);

// The mean of `term` over all windows, [N] by sample id. Throws Error unless 2 <= J <= T.
std::vector<float> mean_over_windows(const DynamicsReader& dynamics, std::int32_t epochs,
                                     std::int32_t window_size, WindowTerm term);

}  // namespace tdds::methods
