#pragma once
// Recordings with missing visits: the flags of the programs that read them, and texts that describe them.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "apps/cli/flags.h"
#include "tdds/dynamics/official_dynamics.h"

namespace tdds {

struct MissingVisitsFlags {
  std::string missing = "refuse";
  std::int64_t samples = 0;
};

FlagTable missing_visits_flags(MissingVisitsFlags& flags);

// Throws UsageError for a negative number of samples.
MissingVisits rule_of(const MissingVisitsFlags& flags);

// How many visits were carried, as a sentence and as the JSON beside a mask: rule, samples, samples_from,
// count, by_epoch, never_visited. Empty and null if the recording does not count visits.
std::string text_of_missing(const VisitCounts& visits, std::int64_t samples);
nlohmann::ordered_json json_of_missing(const VisitCounts& visits, std::int64_t samples);

}  // namespace tdds
