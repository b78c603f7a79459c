#pragma once
// The tables of a sweep, from what it has recorded so far.

#include <string>

#include "apps/sweep/sweep_record.h"

namespace tdds {

// Accuracy by method and rate, mean +- standard deviation over the seeds (n - 1; none for a single seed); the
// published figures; the planted samples at either end of each method's order. Markdown with aligned columns,
// which is also readable on a console.
std::string sweep_markdown(const SweepRecord& record);

// One line per method and rate: method,rate,kept,seeds,best_mean,best_std,last_mean,last_std,published,
// published_kind,published_source. The training on all samples is the method "all" at the rate 0.
std::string sweep_csv(const SweepRecord& record);

}  // namespace tdds
