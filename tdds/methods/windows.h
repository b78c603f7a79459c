#pragma once
// Means over the sliding windows of a sample's p_y, for Dyn-Unc and DUAL.

#include <cstdint>
#include <memory>
#include <vector>

#include "tdds/methods/scorer.h"

namespace tdds::methods {

// The term of a window k = 0 .. T-J of J epochs: a function of the unbiased standard deviation of p_y and of
// the mean of 1 - p_y.
using WindowTerm = double (*)(double deviation, double mean_miss);

// The mean of `term` over all windows. Holds the last J epochs. Throws UsageError unless J >= 2; score()
// throws UsageError unless J <= T.
std::unique_ptr<Scorer> mean_over_windows(std::int64_t samples, std::int32_t window_size, WindowTerm term);

}  // namespace tdds::methods
