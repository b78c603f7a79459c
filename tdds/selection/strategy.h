#pragma once
// Ways to choose the kept samples other than the highest scores of all (tdds/selection/selection.h). Each
// keeps N - int(rate * N) samples and returns their ids, ascending. Draws are functions of the seed and the
// sample id (kernels/numerics/philox.h).

#include <cstdint>
#include <span>
#include <vector>

#include "tdds/methods/method.h"
#include "tdds/selection/selection.h"

namespace tdds {

// The highest scores within each class. Every class loses the same share: class c of n_c samples keeps n_c *
// kept / N, rounded so that the total is right (largest remainders first), and at least one
// (engine/data/class_shares.h). labels [N] in 0 .. classes-1. Throws UsageError if fewer samples than
// classes would be kept.
std::vector<std::int64_t> select_balanced(std::span<const float> score, std::span<const std::int32_t> labels,
                                          std::int32_t classes, double rate);

// Coverage-centric selection (CCS, Zheng et al. 2023). It drops the int(beta * N) samples with the highest
// `hardness` (minus the area under the margin), and divides the range of the other scores into `strata` of
// equal width, the last one closed. It spreads the budget evenly over them, the smallest stratum first, and
// draws within a stratum. Throws UsageError unless 0 <= beta <= rate and 1 <= strata <= N.
struct CcsOptions {
  double beta = 0.2;
  int strata = 50;
  std::uint64_t seed = 42;
};
void check_strata(int strata, std::int64_t samples);
std::vector<std::int64_t> select_ccs(std::span<const float> score, std::span<const float> hardness,
                                     double rate, const CcsOptions& options);

// Beta-weighted sampling (DUAL, Cho et al. 2025): draws without replacement with the weights
//   BetaPDF(p_i; a, b) * score_i,  b = 15 (1 - mu) (1 - rate^c),  a = 16 - b,
// where p_i is the mean confidence of the sample, and mu its mean over the 10 highest scores. c is 4 on
// CIFAR-100. Throws UsageError unless c > 0, and Error for a score below 0.
void check_beta_exponent(double c);
std::vector<std::int64_t> select_beta(std::span<const float> score, const MeanConfidence& confidence,
                                      double rate, double c, std::uint64_t seed);

// A ranking that ends with the selection, so that the official files can store it: the pruned samples with
// score 0, then the kept ones with score 1, by id. (The score weights of the official train_subset.py are
// then all 1.)
Ranking ranking_of(std::span<const std::int64_t> kept, std::int64_t samples);

}  // namespace tdds
