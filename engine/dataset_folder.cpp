#include "engine/dataset_folder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "engine/dataset_cache.h"
#include "engine/dataset_image.h"
#include "kernels/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

std::vector<std::string> class_folders(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  bool loose_image = false;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (is_folder(it->path()) && !is_hidden(it->path())) names.push_back(it->path().filename().string());
    loose_image = loose_image || (!is_folder(it->path()) && has_image_name(it->path().string()));
  }
  check(!error, "{} cannot be read ({}): check that it exists and is readable.", folder, error.message());
  check(!names.empty(), "{} holds no class folders{}: put each class's images into a folder of its name.",
        folder, loose_image ? " but loose images" : "");
  std::sort(names.begin(), names.end());
  return names;
}

// Paths below `folder` of the images of one class.
std::vector<std::string> class_files(const std::string& folder, const std::string& name) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(fs::path(folder) / name, error), end; !error && it != end;
       it.increment(error)) {
    if (is_hidden(it->path())) {
      if (is_folder(it->path())) it.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (it->is_regular_file(ignored) && has_image_name(it->path().string()))
      files.push_back(it->path().lexically_relative(folder).generic_string());
  }
  check(!error, "{}/{} cannot be read ({}): make it readable.", folder, name, error.message());
  check(!files.empty(), "{}/{} holds no image: add some or remove the folder.", folder, name);
  return files;
}

void check_same_classes(const ImageListing& train, const ImageListing& test, const std::string& test_folder) {
  const std::set<std::string> of_train(train.class_names.begin(), train.class_names.end());
  const std::set<std::string> of_test(test.class_names.begin(), test.class_names.end());
  for (const std::string& name : train.class_names)
    check(of_test.count(name) > 0,
          "{} lacks the class folder '{}' that train has: both need the same classes.", test_folder, name);
  for (const std::string& name : test.class_names)
    check(of_train.count(name) > 0,
          "{} has the class folder '{}' that train lacks: both need the same classes.", test_folder, name);
}

// Bad rows are left out; `ids` receives the kept ones.
ImageSet decode_split(const std::string& folder, const ImageListing& listing, const DatasetOptions& options,
                      std::vector<std::int32_t>& ids, std::vector<std::string>& notes) {
  DecodeRequest request{folder,           listing.files,   options.image_size, options.cache_dir,
                        options.skip_bad, options.progress};
  DecodedImages images = decode_files(request);
  ImageSet set{options.image_size, options.image_size, std::move(images.pixels), {}};
  const auto bytes = static_cast<std::ptrdiff_t>(set.image_bytes());
  for (std::size_t file = 0; file < listing.files.size(); ++file) {
    if (images.good[file] == 0) continue;
    const auto from = set.images.begin() + static_cast<std::ptrdiff_t>(file) * bytes;
    std::copy(from, from + bytes, set.images.begin() + static_cast<std::ptrdiff_t>(ids.size()) * bytes);
    ids.push_back(static_cast<std::int32_t>(file));
    set.labels.push_back(listing.labels[file]);
  }
  set.images.resize(ids.size() * static_cast<std::size_t>(bytes));
  check(!ids.empty(), "{} holds no readable image.", folder);
  if (!images.bad.empty())
    notes.push_back(fmt::format("{} of {} images under {} were left out; the first: {}", images.bad.size(),
                                listing.files.size(), folder, images.bad.front()));
  return set;
}

}  // namespace

ImageListing list_images(const std::string& folder) {
  ImageListing listing;
  listing.class_names = class_folders(folder);
  std::vector<std::pair<std::string, std::int32_t>> all;
  for (std::size_t c = 0; c < listing.class_names.size(); ++c)
    for (std::string& file : class_files(folder, listing.class_names[c]))
      all.emplace_back(std::move(file), static_cast<std::int32_t>(c));
  std::sort(all.begin(), all.end());
  for (auto& [file, label] : all) {
    listing.files.push_back(std::move(file));
    listing.labels.push_back(label);
  }
  return listing;
}

void set_channel_statistics(Dataset& dataset) {
  const std::vector<std::uint8_t>& images = dataset.train.images;
  const double count = static_cast<double>(images.size() / 3);
  for (std::size_t c = 0; c < 3; ++c) {
    std::int64_t sum = 0, squares = 0;
    for (std::size_t i = c; i < images.size(); i += 3) {
      sum += images[i];
      squares += images[i] * images[i];
    }
    const double mean = static_cast<double>(sum) / count;
    const double variance = std::max(0.0, static_cast<double>(squares) / count - mean * mean);
    dataset.mean[c] = static_cast<float>(mean / 255);
    dataset.std[c] = static_cast<float>(std::max(1.0, std::sqrt(variance)) / 255);
  }
}

Dataset load_folder(const DatasetOptions& options) {
  check_usage(!options.data_path.empty(),
              "--dataset folder needs --data_path, the folder that holds train/.");
  check_usage(options.image_size >= 8 && options.image_size <= 1024, "--image_size is {}: choose 8 .. 1024.",
              options.image_size);
  const fs::path root(options.data_path);
  const std::string train_folder = (root / "train").string();
  check(is_folder(train_folder), "{} is no folder: --data_path must hold train/<class>/<image>.",
        train_folder);
  const std::string test_folder = (root / (is_folder(root / "val") ? "val" : "test")).string();
  check(is_folder(test_folder) || options.val_fraction > 0,
        "{} holds neither val/ nor test/: add one, or hold training images out with --val_fraction.",
        options.data_path);

  Dataset dataset;
  dataset.name = "folder";
  const ImageListing train = list_images(train_folder);
  dataset.train = decode_split(train_folder, train, options, dataset.train_ids, dataset.notes);
  dataset.train_files = train.files;
  dataset.class_names = train.class_names;
  dataset.classes = static_cast<int>(train.class_names.size());
  if (is_folder(test_folder)) {
    const ImageListing test = list_images(test_folder);
    check_same_classes(train, test, test_folder);
    std::vector<std::int32_t> test_ids;
    dataset.test = decode_split(test_folder, test, options, test_ids, dataset.notes);
  }
  set_channel_statistics(dataset);
  return dataset;
}

}  // namespace tdds
