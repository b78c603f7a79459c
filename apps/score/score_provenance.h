#pragma once
// Whether scores belong to the data that is to be trained on.

#include <string>

#include "engine/dataset.h"

namespace tdds {

// Reads the JSON that tdds-score left beside `score_path`, or where that is empty beside `mask_path`. Throws
// Error where it tells of another data set than `data`: other pixels or labels, unless the manifest says that they
// are of the same files with the same labels, scored at another image size. Without such a file (the official code writes none)
// nothing can be said.
void check_scores_are_of(const Dataset& data, const std::string& mask_path, const std::string& score_path);

}  // namespace tdds
