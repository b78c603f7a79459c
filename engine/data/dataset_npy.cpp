#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "engine/data/dataset_folder.h"
#include "engine/data/npy_source.h"
#include "engine/io/files.h"
#include "engine/io/text_lines.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestNames = 1 << 24;

ImageSet read_split(NpySource& source, const std::string& split) {
  const std::string images = split + "_images", labels = split + "_labels";
  NpyImages read = read_npy_images(source.open(images));
  ImageSet set{read.height, read.width, std::move(read.pixels), read_npy_labels(source.open(labels))};
  check(set.count() * set.image_bytes() == static_cast<std::int64_t>(set.images.size()),
        "{} has {} labels for the {} images of {}: both need the same number.", source.label(labels),
        set.count(), static_cast<std::int64_t>(set.images.size()) / set.image_bytes(), source.label(images));
  return set;
}

std::vector<std::string> read_names(const fs::path& path, int classes) {
  std::vector<std::string> names;
  if (fs::exists(path)) names = names_of(read_file(path, kLargestNames));
  if (names.empty())
    for (int c = 0; c < classes; ++c) names.push_back(fmt::format("class {}", c));
  check(static_cast<int>(names.size()) == classes, "{} names {} classes, but the labels have {}: correct it.",
        path.string(), names.size(), classes);
  return names;
}

ImageSet read_other_split(NpySource& source, const std::string& split, const Dataset& dataset) {
  ImageSet set = read_split(source, split);
  check(set.height == dataset.train.height && set.width == dataset.train.width,
        "{} has images of {} x {} pixels, but the training images have {} x {}: give both the same size.",
        source.label(split + "_images"), set.height, set.width, dataset.train.height, dataset.train.width);
  for (const std::int32_t label : set.labels)
    check(label < dataset.classes, "{} holds the label {}, which no training image has.",
          source.label(split + "_labels"), label);
  return set;
}

void read_test_and_validation(NpySource& source, const DatasetOptions& options, Dataset& dataset) {
  const bool has_test = source.holds("test_images"), has_val = source.holds("val_images");
  check(has_test || has_val || options.val_fraction > 0,
        "{} holds no test_images: add them, or hold training images out with `val_fraction`.",
        options.data_path);
  if (has_test || has_val) dataset.test = read_other_split(source, has_test ? "test" : "val", dataset);
  if (!has_val) return;
  if (!has_test)
    dataset.notes.emplace_back("there are no test_images: accuracy is that of val_images");
  else if (options.val_fraction > 0)
    dataset.notes.emplace_back("val_images are not used: training images are held out in their place");
  else
    dataset.validation = read_other_split(source, "val", dataset);
}

}  // namespace

Dataset load_npy(const DatasetOptions& options) {
  check_usage(!options.data_path.empty(),
              "the data set npy needs `data_path`, the folder that holds train_images.npy, or an .npz.");
  NpySource source(options.data_path, memory_limit(options));
  Dataset dataset;
  dataset.name = "npy";
  dataset.train = read_split(source, "train");
  dataset.classes = 1 + *std::max_element(dataset.train.labels.begin(), dataset.train.labels.end());
  read_test_and_validation(source, options, dataset);
  std::vector<std::string> known;
  for (const char* split : {"train", "val", "test"})
    for (const char* what : {"_images", "_labels"}) known.push_back(std::string(split) + what);
  if (const std::vector<std::string> others = source.others(known); !others.empty())
    dataset.notes.push_back(
        fmt::format("arrays of {} that are not read: {}", options.data_path, fmt::join(others, ", ")));
  dataset.class_names = read_names(fs::path(options.data_path) / "class_names.txt", dataset.classes);
  set_channel_statistics(dataset);
  return dataset;
}

}  // namespace tdds
