#pragma once
// Recordings that lack visits: the flags of the programs that read them, and what these say about them.

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

// A sentence of how many visits were carried, for people, and the same for the JSON beside a mask: rule,
// samples, samples_from, count, by_epoch, never_visited. Empty and null where the recording says nothing of
// visits.
std::string text_of_missing(const VisitCounts& visits, std::int64_t samples);
nlohmann::ordered_json json_of_missing(const VisitCounts& visits, std::int64_t samples);

}  // namespace tdds
