#pragma once
// Lists the image files of a folder and their classes.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tdds {

// The images of one split; the sample id of an image is its place in this list.
struct ImageListing {
  std::vector<std::string> class_names;  // the class folders, sorted by bytes
  std::vector<std::string> files;        // paths below the split's folder, in ImageFolder's order
  std::vector<std::int32_t> labels;      // of each file, the index of its class
  std::string not_read;                  // a sentence on the files that were skipped; empty if there are none
  // A sentence on where torchvision.datasets.ImageFolder counts other files; empty if nowhere.
  std::string different;
};

// Reads <folder>/<class>/** in the order of torchvision.datasets.ImageFolder (engine/data/image_walk.h).
// Skips files without an image's name, hidden files and folders, thumbnails in @eaDir, and files beside the
// class folders. Throws Error that names the path if there are no class folders, if one holds no image or
// cannot be read, and for a link to a folder above it. `poll` is called between files.
ImageListing list_images(const std::string& folder, const std::function<void()>& poll = {});

// The listing of earlier versions, which numbers the samples of their recordings and masks: all files sorted
// by path, without .pgm, and with the thumbnails in @eaDir.
ImageListing list_images_by_path(const std::string& folder);

// Whether paths below a split's folder are in ImageFolder's order. The listing of an earlier version is not,
// unless both orders agree.
bool in_image_folder_order(const std::vector<std::string>& files);

// Lists a folder of loose images, such as the val/ of ILSVRC2012. Their classes are in a file of `root`:
// LOC_val_solution.csv (image,class ...) or val.txt (file number, where classes are numbered in their
// order). The images are sorted by bytes. Throws Error if neither file exists, or if it does not name the
// class of an image.
ImageListing list_loose_images(const std::string& folder, const std::string& root,
                               const std::vector<std::string>& class_names);

// Whether the folder holds images and no class folders.
bool has_loose_images(const std::string& folder);

}  // namespace tdds
