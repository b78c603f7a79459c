#pragma once
// The series of KL values from files in the format of the official train.py --dynamics.
//
// A folder holds `<e>_Output.npy` float32 [N, K] (logits) and `<e>_Index.npy` int64 [N] (sample ids) for the
// epochs e = 0, 1, 2, ..., rows in visiting order; <e> may be padded with zeros. `<e>_Loss.npy` is not
// needed. An epoch may visit fewer than all samples, for example if the loader drops the last incomplete
// batch.

#include <cstdint>
#include <string>
#include <vector>

namespace tdds {

// Filled only for official files with accepted missing visits.
struct VisitCounts {
  std::vector<std::int64_t> missing = {};  // [epochs] number of samples that were not visited
  std::int64_t never_visited = 0;          // samples that no epoch visited: d = 0 throughout
  bool samples_assumed = false;            // N was not given: it is one more than the largest id
};

// d_t of every sample (docs/architecture.md 7.2): everything that TDDS needs from a run.
struct KlSeries {
  std::int64_t samples = 0;  // N
  std::int32_t epochs = 0;   // one more than the number of rows
  // [epochs - 1, N] by sample id. A score is a difference of these values. Where they nearly agree, as in a
  // short window of a sample that the net is sure of, the difference in float32 would be rounding noise.
  std::vector<double> values;
  VisitCounts visits = {};
};

// How to read official files that do not have every sample in every epoch.
struct MissingVisits {
  // Whether to carry the last visit forward: d = 0 in an epoch without a visit, and the next visit is
  // compared with the last one. d = 0 up to and at a sample's first visit. If false, such files are refused.
  bool carry = false;
  // N, which is not in the files; 0: one more than the largest id in the epochs read.
  std::int64_t samples = 0;
  std::string accept = {};  // how a user accepts missing visits, for the error: "give `missing` carry"
};

struct OfficialEpoch {
  std::string output, index;  // names in the folder
};
struct OfficialFiles {
  std::vector<OfficialEpoch> epochs;      // from 0 on
  std::vector<std::string> ignored = {};  // files named *_Output.npy or *_Index.npy without a number
};

// Throws Error if there is no epoch, if one in between is missing, or if two files are of one epoch.
OfficialFiles find_official_files(const std::string& folder);

// Reads the first `epochs` epochs. Memory holds one epoch of logits, the series and a few rows. Throws Error
// that names the file for a wrong type or shape, a truncated file, other classes than in the first epoch,
// ids outside 0 .. N-1, a sample twice in an epoch or, unless accepted, not at all, and logits that are not
// finite.
KlSeries read_official_series(const std::string& folder, std::int32_t epochs, const MissingVisits& rule = {});

}  // namespace tdds
