#pragma once
// The series of KL values from the files of the official train.py --dynamics, whoever wrote them.
//
// A folder holds `<e>_Output.npy` float32 [N, K] (logits) and `<e>_Index.npy` int64 [N] (sample ids) for the
// epochs e = 0, 1, 2, ..., rows in visiting order; <e> may be padded with zeros. `<e>_Loss.npy` is not
// needed. An epoch may visit fewer
// samples than there are, as a loader does that drops its last incomplete batch.

#include <cstdint>
#include <string>
#include <vector>

namespace tdds {

// Of official files alone, where missing visits are accepted; else empty.
struct VisitCounts {
  std::vector<std::int64_t> missing = {};  // [epochs] how many samples were not visited
  std::int64_t never_visited = 0;          // samples that no epoch visited: d = 0 throughout
  bool samples_assumed = false;            // N is one more than the largest id, which nobody gave
};

// d_t of every sample (docs/architecture.md 7.2): all that TDDS needs of a run.
struct KlSeries {
  std::int64_t samples = 0;  // N
  std::int32_t epochs = 0;   // visits of each sample: one more than there are rows
  // [epochs - 1, N] by sample id. A score is a difference of them: where they nearly agree, as in a short
  // window of a sample that the net is sure of, float32 would keep digits of them and not of what is left.
  std::vector<double> values;
  VisitCounts visits = {};
};

// What is to be made of official files that do not hold every sample in every epoch.
struct MissingVisits {
  // Whether to carry the last visit on: d = 0 in an epoch without a visit, and the next visit is compared
  // with the last one. Before its first visit a sample has d = 0, and at that visit too. Not accepted: such
  // files are refused.
  bool carry = false;
  std::int64_t samples =
      0;  // N, which the files do not tell; 0: one more than the largest id in the epochs read
  std::string accept = {};  // how a user accepts missing visits, for the refusal: "give `missing` carry"
};

struct OfficialEpoch {
  std::string output, index;  // names in the folder
};
struct OfficialFiles {
  std::vector<OfficialEpoch> epochs;      // from 0 on
  std::vector<std::string> ignored = {};  // files named *_Output.npy or *_Index.npy without a number
};

// Throws Error where there is no epoch, one is missing in between, or two files are of one epoch.
OfficialFiles find_official_files(const std::string& folder);

// Reads the first `epochs` epochs. Holds one epoch of logits, the series and a few rows, nothing more. Throws
// Error on what is wrong in the files, each naming the file: type, shape, truncation, other classes than in
// the first epoch, ids outside 0 .. N-1, a sample twice in an epoch or, unless accepted, not at all, logits
// that are not finite.
KlSeries read_official_series(const std::string& folder, std::int32_t epochs, const MissingVisits& rule = {});

}  // namespace tdds
