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

// The highest scores within each class, every class losing the same share: class c of n_c samples keeps
// n_c * kept / N, rounded so that the total is right (largest remainders first), and at least one
// (engine/data/class_shares.h). labels [N] in 0 .. classes-1. Throws UsageError when fewer samples than
// classes would be kept.
std::vector<std::int64_t> select_balanced(std::span<const float> score, std::span<const std::int32_t> labels,
                                          std::int32_t classes, double rate);

// Coverage-centric (CCS, Zheng et al. 2023): drops the int(beta * N) samples of the highest `hardness` (minus
// the area under the margin), cuts the range of the others' scores into `strata` of equal width, the last one
// closed, and spreads the budget evenly over them, the smallest stratum first; draws inside a stratum.
// Throws UsageError unless 0 <= beta <= rate and 1 <= strata <= N.
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
// p_i the mean confidence of the sample, mu its mean over the 10 highest scores. c is 4 on CIFAR-100. Throws
// UsageError unless c > 0, and Error for a score below 0.
void check_beta_exponent(double c);
std::vector<std::int64_t> select_beta(std::span<const float> score, const MeanConfidence& confidence,
                                      double rate, double c, std::uint64_t seed);

// A selection as a ranking whose end it is, so that the official files can carry it: the pruned with score 0,
// then the kept with score 1, by id. (The score weights of the official train_subset.py are then all 1.)
Ranking ranking_of(std::span<const std::int64_t> kept, std::int64_t samples);

}  // namespace tdds
