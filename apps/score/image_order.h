#pragma once
// Folders whose images earlier versions numbered in another order: by path, where it is now that of
// torchvision's ImageFolder (engine/data/image_listing.h). Recordings and masks count by the order of their
// time.

#include <filesystem>
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace tdds {

// Throws Error where the files of the manifest at `path` stand in the earlier order.
void check_image_order(const std::vector<std::string>& files, const std::filesystem::path& path);
// The same of the manifest in the folder of a run, where there is one.
void check_image_order(const std::filesystem::path& run_folder);

// Why a mask whose manifest has the hash `manifest` does not fit, a clause; empty where the order of the
// images is not the reason.
std::string order_reason(const Dataset& data, const std::string& manifest);

}  // namespace tdds
