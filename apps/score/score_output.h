#pragma once
// The files of tdds-score: for each score, the official mask and score files and a JSON file that describes
// them; for a selection, the kept ids in the requested formats.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/score/sample_ids.h"
#include "tdds/dynamics/dynamics_source.h"
#include "tdds/selection/selection.h"

namespace tdds {

// The scores of one method with one setting. Every method keeps the highest.
struct ScoredMethod {
  std::string name;            // "TDDS T=30 J=10 decay=0.9", for people
  std::string stem;            // "tdds_win10_ep30", in file names
  RankingFiles files;          // mask and score
  nlohmann::ordered_json how;  // method, parameters, direction, source
  std::vector<float> score;    // [N] by row
};

// Provenance that is the same for all scores of a run: version, data set, seed, epochs.
nlohmann::ordered_json provenance_of(const DynamicsSource& source, std::int64_t samples);
nlohmann::ordered_json provenance_of(const std::string& program, const std::string& path,
                                     const DynamicsHeader& header, std::int32_t epochs);

// The path of the JSON file that describes them: `<folder>/score_<stem>.json`.
std::string about_of(const RankingFiles& files);
// Reads such a file. What is not JSON gives a discarded value, which is not an object.
nlohmann::ordered_json read_about(const std::filesystem::path& path);

// Writes the mask, the scores and their JSON file; returns a paragraph about them. `sorter` sorts the scores;
// if it is null, the host does.
std::string write_scores(const ScoredMethod& scored, const nlohmann::ordered_json& provenance,
                         Device* sorter = nullptr);

struct Selection {
  std::string name;               // top, bottom, balanced, ccs, beta
  std::string amount;             // "rate0.7", "keep5000": in file names
  double rate = 0;                // pruned share
  std::vector<std::int64_t> ids;  // rows of the kept samples, ascending
  nlohmann::ordered_json how;     // its parameters
};

// Throws UsageError for a format that write_selection does not know.
void check_formats(std::span<const std::string> formats);

// Writes `<folder>/kept_<stem>_<selection>_<amount>.<format>` for each format: npy (int64), txt (one id per
// line), csv (id, label, score and kept for every sample), json (provenance, counts and ids). They hold ids,
// not rows. For selections other than `top`, also writes a mask, scores and their JSON file, which make the
// official train_subset.py keep these samples. Prints the counts overall and, with labels, by class.
void write_selection(const std::string& folder, const ScoredMethod& scored, const Selection& selection,
                     std::span<const std::string> formats, const nlohmann::ordered_json& provenance,
                     std::span<const std::int32_t> labels, std::int32_t classes, const SampleIds& sample_ids);

}  // namespace tdds
