#pragma once
// Earlier versions numbered the images of a folder by path. Ids now follow torchvision's ImageFolder
// (engine/data/image_listing.h). Recordings and masks keep the order of the version that wrote them.

#include <filesystem>
#include <string>

#include "engine/data/dataset.h"

namespace tdds {

// Throws Error if there is a manifest at `path` and it lists its files in the earlier order.
void check_image_order(const std::filesystem::path& path);

// Returns a clause that says why a mask whose manifest has the hash `manifest` does not fit, or "" if the
// order of the images is not the reason.
std::string order_reason(const Dataset& data, const std::string& manifest);

}  // namespace tdds
