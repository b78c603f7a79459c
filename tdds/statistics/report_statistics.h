#pragma once
// The numbers on all samples in a report (tdds-report).

#include <cstdint>
#include <span>
#include <vector>

#include "engine/io/dynamics_store.h"

namespace tdds {

// Bins of equal width from the lowest to the highest value, the last one closed. If all values are equal,
// they are in the first bin.
struct Histogram {
  double low = 0, high = 0;
  std::vector<std::int64_t> counts;  // [bins]
  std::int64_t bin_of(double value) const;
};
// Throws Error if there is no value or bin, or if a value is not finite.
Histogram histogram(std::span<const float> values, int bins);

// Ranks (tdds/statistics/rank_correlation.h) scaled to 0 (lowest) .. 1 (highest); 0.5 for a single sample.
std::vector<float> standing(std::span<const double> ranks);

// How much orders disagree about each sample: its highest standing minus its lowest, 0 .. 1.
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

// The share of wrong samples among the first and among the last n samples of `order`, where n is the number
// of `wrong` ones. With this n, precision and recall are the same number.
struct FoundShares {
  double low = 0, high = 0;
};
FoundShares found_at_ends(std::span<const std::int64_t> order, std::span<const std::uint8_t> wrong);

}  // namespace tdds
