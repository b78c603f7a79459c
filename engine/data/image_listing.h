#pragma once
// Which image files a folder of images has, and their classes.

#include <cstdint>
#include <string>
#include <vector>

namespace tdds {

// The images of one split; the sample id of an image is its place in this list.
struct ImageListing {
  std::vector<std::string> class_names;  // the class folders, sorted by bytes
  std::vector<std::string> files;        // paths below the split's folder, sorted by bytes
  std::vector<std::int32_t> labels;      // of each file, its folder's place
  std::vector<std::uint64_t> bytes;      // of each file; 0 where that cannot be told
};

// Reads <folder>/<class>/**. Files without an image's name are passed over, hidden ones and hidden folders too. Throws
// Error naming the path when there are no class folders, when one holds no image or cannot be read.
ImageListing list_images(const std::string& folder);

// A folder of loose images as ILSVRC2012's val/ is handed out: their classes stand in `root`, in
// LOC_val_solution.csv (image,class ...) or in val.txt (file number, the classes numbered in their order).
// Throws Error where neither is there, or where it does not name the class of an image.
ImageListing list_loose_images(const std::string& folder, const std::string& root,
                               const std::vector<std::string>& class_names);

// Whether the folder holds images and no class folders.
bool has_loose_images(const std::string& folder);

}  // namespace tdds
