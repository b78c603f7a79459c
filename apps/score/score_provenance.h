#pragma once
// Whether scores belong to the data that is to be trained on.

#include <string>

#include "engine/data/dataset.h"

namespace tdds {

// Reads the JSON that tdds-score left beside `score_path`, or where that is empty beside `mask_path`. Throws
// Error where it tells of another data set than `data`: other pixels or labels, unless the manifest says that
// they are of the same files with the same labels, scored at another image size. Without such a file (the
// official code writes none) nothing can be said. Returns a sentence for the log where the manifest is of
// version 1, which knows the files by their paths and sizes alone; else nothing.
std::string check_scores_are_of(const Dataset& data, const std::string& mask_path,
                                const std::string& score_path);

}  // namespace tdds
