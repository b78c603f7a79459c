#pragma once
// The numbers behind a report's charts, as the JSON that its script draws.

#include <nlohmann/json_fwd.hpp>

#include "apps/report/report_input.h"
#include "tdds/statistics/report_statistics.h"

namespace tdds::report {

// The data set, the run and the versions: pairs of name and value.
nlohmann::ordered_json facts_json(const ReportInput& input);

// For each score: names and definition, histogram, standings (one byte per sample: 0 lowest, 255 highest),
// and how many samples of each class are kept at the pruning rate.
nlohmann::ordered_json scores_json(const ReportInput& input, double rate);

// Rank correlations: of the scores, and of TDDS with different (T, J).
nlohmann::ordered_json method_correlations_json(const ReportInput& input);
nlohmann::ordered_json setting_correlations_json(const ReportInput& input);

// The data map as 16-bit fixed point (65535 is 1), with bands of confidence as its table.
nlohmann::ordered_json map_json(const ReportInput& input, const DataMap& map);

// The classes with their sizes; null without labels.
nlohmann::ordered_json classes_json(const ReportInput& input);

// How many samples that are marked in planted [N] (not 0) are at the ends of each order; null if there are
// none.
nlohmann::ordered_json found_json(const ReportInput& input, const std::vector<std::uint8_t>& planted);

// Over the seeds of a sweep: accuracies by method and rate, and the planted samples at the ends of each
// order.
nlohmann::ordered_json sweep_json(const SweepRecord& sweep);

}  // namespace tdds::report
