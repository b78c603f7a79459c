#pragma once
// Contact sheets: which samples are shown, and what each shows beside its image.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/report/report_input.h"
#include "apps/report/sprite_sheet.h"
#include "tdds/statistics/report_statistics.h"

namespace tdds::report {

struct ContactSheet {
  std::string section;  // "images" or "suspects"
  std::string group;    // sheets of one group are shown together: a method's name
  std::string title, note;
  int score = -1;                  // index into ScoreSet::scores of the score shown; -1: mean p_y
  std::vector<std::int32_t> rows;  // samples
};

// The highest and lowest of each score, the samples that the scores disagree about most, and those with
// suspected label errors. Variants of a method are left out. map: null if the recording has no losses.
std::vector<ContactSheet> choose_contact_sheets(const ReportInput& input, const DataMap* map, int images);

// The samples of all sheets, each once, in the order of their first appearance.
std::vector<std::int32_t> rows_shown(const std::vector<ContactSheet>& sheets);

// {ids, labels, true, wrong, planted, names, mean, epochs, trajectories, scores}: the captions of the images.
nlohmann::ordered_json tiles_json(const ReportInput& input, const DataMap* map,
                                  const std::vector<std::int32_t>& rows);
nlohmann::ordered_json sheets_json(const std::vector<ContactSheet>& sheets,
                                   const std::vector<std::int32_t>& rows);

}  // namespace tdds::report
