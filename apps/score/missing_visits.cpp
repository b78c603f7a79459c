#include "apps/score/missing_visits.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

std::int64_t total(const std::vector<std::int64_t>& missing) {
  return std::accumulate(missing.begin(), missing.end(), std::int64_t{0});
}

const char* samples_from(const VisitCounts& visits) {
  return visits.samples_assumed ? "the largest id plus one" : "as given";
}

}  // namespace

FlagTable missing_visits_flags(MissingVisitsFlags& flags) {
  return {
      {"missing", word_choice(flags.missing, {"refuse", "carry"}),
       "Official .npy files: what to do where an epoch does not visit every sample, as with drop_last=True. "
       "carry takes d = 0 in that epoch, and compares the next visit with the last one."},
      {"samples", &flags.samples,
       "Official .npy files: the number of samples. 0 takes one more than the largest id in the epochs "
       "used."}};
}

MissingVisits rule_of(const MissingVisitsFlags& flags) {
  check_usage(flags.samples >= 0,
              "--samples is {}; give the number of samples, or 0 to take it from the files", flags.samples);
  return {flags.missing == "carry", flags.samples, "give --missing carry"};
}

std::string text_of_missing(const VisitCounts& visits, std::int64_t samples) {
  if (visits.missing.empty()) return {};
  const std::int64_t count = total(visits.missing);
  if (count == 0)
    return fmt::format("missing visits: none in {} epochs of {} samples", visits.missing.size(), samples);
  const auto without = visits.missing.size() -
                       static_cast<std::size_t>(std::count(visits.missing.begin(), visits.missing.end(), 0));
  const auto worst = std::max_element(visits.missing.begin(), visits.missing.end());
  std::string text = fmt::format(
      "missing visits: {} in {} of {} epochs, at most {} of {} samples ({}) in epoch {}; the last visits are "
      "carried forward, with d = 0",
      count, without, visits.missing.size(), *worst, samples, samples_from(visits),
      worst - visits.missing.begin());
  if (visits.never_visited > 0)
    text += fmt::format("; {} samples were never visited, and their score is 0", visits.never_visited);
  return text;
}

nlohmann::ordered_json json_of_missing(const VisitCounts& visits, std::int64_t samples) {
  if (visits.missing.empty()) return nullptr;
  return {{"rule", "carry"},
          {"samples", samples},
          {"samples_from", samples_from(visits)},
          {"count", total(visits.missing)},
          {"by_epoch", visits.missing},
          {"never_visited", visits.never_visited}};
}

}  // namespace tdds
