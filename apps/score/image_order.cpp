#include "apps/score/image_order.h"

#include "engine/data/image_listing.h"
#include "engine/data/manifest.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

// The hash of the manifest that an earlier version made of the first `rows` images.
std::string hash_of_first(const ImageListing& listing, std::size_t rows, const Manifest& now) {
  Manifest then{"", now.altered, {}, {}, {}};
  for (std::size_t row = 0; row < rows; ++row) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(now.folder + "/" + listing.files[row], error);
    then.files.push_back(listing.files[row]);
    then.labels.push_back(listing.labels[row]);
    then.bytes.push_back(error ? 0 : bytes);
  }
  return then.hash();
}

}  // namespace

void check_image_order(const std::filesystem::path& path) {
  std::error_code ignored;
  check(!std::filesystem::exists(path, ignored) || in_image_folder_order(read_manifest(path.string()).files),
        "{} lists the images sorted by path, as earlier versions did; sample ids now follow torchvision's "
        "ImageFolder, so this recording and its masks refer to other images; train again",
        path.string());
}

std::string order_reason(const Dataset& data, const std::string& manifest) {
  if (data.manifest.empty()) return "";
  const ImageListing before = list_images_by_path(data.manifest.folder);
  const std::size_t all = before.files.size(), rows = data.train_ids.size();
  const bool of_first = rows < all && hash_of_first(before, rows, data.manifest) == manifest;
  if (before.files == data.train_files)
    return of_first ? "an earlier version took the first images, and --max_train_samples now takes an equal "
                      "share of each class"
                    : "";
  const bool certain = of_first || hash_of_first(before, all, data.manifest) == manifest;
  return fmt::format(
      "{} an earlier version, which sorted the images of {} by path, and sample ids now follow torchvision's "
      "ImageFolder",
      certain ? "they are from" : "they may be from", data.manifest.folder);
}

}  // namespace tdds
