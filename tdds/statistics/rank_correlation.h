#pragma once
// How similarly two scores order the samples (Spearman).

#include <span>
#include <vector>

namespace tdds {

// The rank of each value, from 0, ascending; equal values share the mean of their ranks.
std::vector<double> average_ranks(std::span<const float> values);

// The Pearson correlation of two lists of ranks, -1 .. 1. Constant ranks have no order: the result is 1 if
// both lists are constant, and 0 if one is.
double correlation_of_ranks(std::span<const double> a, std::span<const double> b);

// Spearman's rank correlation, with ties.
double rank_correlation(std::span<const float> a, std::span<const float> b);

}  // namespace tdds
