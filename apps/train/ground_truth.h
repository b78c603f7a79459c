#pragma once
// The defects planted in the training samples, as files, so that scores can be compared with them.
//
//   planted.csv           row,id,label,true_label,corruption,duplicate_of,difficulty of the changed samples
//                         or, for a drawn set, where each has a difficulty, of every sample. duplicate_of is
//                         the id of the original, which may have been held out, or empty
//   wrong_label_ids.npy   int64: the rows with a wrong label, as masks count them

#include <filesystem>
#include <string>

#include "engine/data/dataset.h"

namespace tdds {

// The content of planted.csv. data.truth must be set.
std::string ground_truth_csv(const Dataset& data);

// 1 for each row that is a near-duplicate of another sample: [N].
std::vector<std::uint8_t> near_duplicates(const GroundTruth& truth);

// Writes both files if something was planted.
void write_ground_truth(const std::filesystem::path& folder, const Dataset& data);

}  // namespace tdds
