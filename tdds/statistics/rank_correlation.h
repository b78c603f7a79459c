#pragma once
// How alike two scores order the samples (Spearman).

#include <span>
#include <vector>

namespace tdds {

// The rank of each value, from 0, ascending; equal values share the mean of their ranks.
std::vector<double> average_ranks(std::span<const float> values);

// The correlation (Pearson) of two lists of ranks, -1 .. 1. Where one of them is constant it has no order: 1
// if both are, else 0.
double correlation_of_ranks(std::span<const double> a, std::span<const double> b);

// Spearman's rank correlation, with ties.
double rank_correlation(std::span<const float> a, std::span<const float> b);

}  // namespace tdds
