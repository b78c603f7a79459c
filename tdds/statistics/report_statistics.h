#pragma once
// What a report (tdds-report) tells of all samples, as numbers.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/io/dynamics_store.h"

namespace tdds {

// Bins of equal width from the lowest value to the highest, the last one closed. One value only: all of it is
// in the first bin.
struct Histogram {
  double low = 0, high = 0;
  std::vector<std::int64_t> counts;  // [bins]
  std::int64_t bin_of(double value) const;
};
// Throws Error when there is nothing to count or a value is not finite.
Histogram histogram(std::span<const float> values, int bins);

// Ranks (tdds/statistics/rank_correlation.h) as shares: 0 the lowest of all, 1 the highest; 0.5 for a single
// sample.
std::vector<float> standing(std::span<const double> ranks);

// By how much orders disagree about each sample: its highest standing less its lowest, 0 .. 1.
std::vector<float> disagreement(std::span<const std::vector<float>> standings);

// Mean and standard deviation (of the population) of p_y over the first `epochs` epochs, [N] each: the data
// map of Swayamdipta et al. 2020, here on the probabilities of the training pass.
struct DataMap {
  std::vector<float> mean, deviation;
};
DataMap data_map(const DynamicsReader& dynamics, std::int32_t epochs);

// The means of the samples whose confidence lies in [low, high), the last band closed.
struct ConfidenceBand {
  double low = 0, high = 0;
  std::int64_t samples = 0;
  double deviation = 0;           // of p_y
  std::vector<double> standings;  // by score, 0 .. 1
};
std::vector<ConfidenceBand> confidence_bands(const DataMap& map,
                                             std::span<const std::vector<float>> standings, int bands);

// Mean and standard deviation (n - 1; 0 for one value) of a few repetitions.
struct Repetitions {
  std::int64_t count = 0;
  double mean = 0, deviation = 0;
};
Repetitions repetitions(std::span<const double> values);

// Of as many samples as are `wrong`, from the low and from the high end of `order`: the share that is wrong.
// As many are taken as there are to find, so precision and recall are this same number.
struct FoundShares {
  double low = 0, high = 0;
};
FoundShares found_at_ends(std::span<const std::int64_t> order, std::span<const std::uint8_t> wrong);

}  // namespace tdds
