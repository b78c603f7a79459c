#pragma once
// Which image files a folder of images has, and their classes.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tdds {

// The images of one split; the sample id of an image is its place in this list.
struct ImageListing {
  std::vector<std::string> class_names;  // the class folders, sorted by bytes
  std::vector<std::string> files;        // paths below the split's folder, in ImageFolder's order
  std::vector<std::int32_t> labels;      // of each file, its folder's place
  std::string not_read;  // a sentence on the files that were passed over; empty where there are none
  std::string
      different;  // a sentence on where torchvision.datasets.ImageFolder counts other files; empty: nowhere
};

// Reads <folder>/<class>/** in the order of torchvision.datasets.ImageFolder (engine/data/image_walk.h).
// Passed over are files without an image's name, hidden files and folders, thumbnails in @eaDir, and files
// beside the class folders. Throws Error naming the path when there are no class folders, when one holds no
// image or cannot be read, and for a link to a folder above it. `poll` is called between files.
ImageListing list_images(const std::string& folder, const std::function<void()>& poll = {});

// The listing that earlier versions made, by which their recordings and masks count: all files sorted by
// path, without .pgm, and with the thumbnails in @eaDir.
ImageListing list_images_by_path(const std::string& folder);

// Whether paths below a split's folder stand in ImageFolder's order. Those that an earlier version listed do
// not where the two differ.
bool in_image_folder_order(const std::vector<std::string>& files);

// A folder of loose images as ILSVRC2012's val/ is handed out: their classes stand in `root`, in
// LOC_val_solution.csv (image,class ...) or in val.txt (file number, the classes numbered in their order).
// They are sorted by bytes. Throws Error where neither is there, or where it does not name the class of an
// image.
ImageListing list_loose_images(const std::string& folder, const std::string& root,
                               const std::vector<std::string>& class_names);

// Whether the folder holds images and no class folders.
bool has_loose_images(const std::string& folder);

}  // namespace tdds
