#pragma once
// The series of KL values from the files of the official train.py --dynamics, whoever wrote them.
//
// A folder holds `<e>_Output.npy` float32 [N, K] (logits) and `<e>_Index.npy` int64 [N] (sample ids) for the
// epochs e = 0, 1, 2, ..., rows in visiting order. `<e>_Loss.npy` is not needed.

#include <cstdint>
#include <string>
#include <vector>

namespace tdds {

// d_t of every sample (docs/architecture.md 7.2): all that TDDS needs of a run.
struct KlSeries {
  std::int64_t samples = 0;   // N
  std::int32_t epochs = 0;    // visits of each sample: one more than there are rows
  std::vector<float> values;  // [epochs - 1, N] by sample id
};

// The number of epochs in the folder. Throws Error when there is none or one is missing in between.
std::int32_t count_official_epochs(const std::string& folder);

// Reads the first `epochs` epochs. Holds one epoch of logits, the series and a few rows, nothing more. Throws
// Error on what is wrong in the files, each naming the file: type, shape, truncation, another shape than the
// epoch before, ids that are no permutation of 0 .. N-1, logits that are not finite.
KlSeries read_official_series(const std::string& folder, std::int32_t epochs);

}  // namespace tdds
