#pragma once
// Checks that scores belong to the data to be trained on.

#include <string>

#include "engine/data/dataset.h"

namespace tdds {

// Reads the JSON file that tdds-score wrote beside `score_path` or, if that is empty, beside `mask_path`.
// Throws Error if it describes another data set than `data`: other pixels or labels, unless the manifests
// show the same files and labels at another image size. Without such a file (the official code writes none)
// nothing is checked. Returns a sentence for the log if the manifest is of version 1, which identifies files
// only by path and size; otherwise "".
std::string check_scores_are_of(const Dataset& data, const std::string& mask_path,
                                const std::string& score_path);

}  // namespace tdds
