#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/dataset_folder.h"
#include "engine/npy.h"
#include "kernels/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

// The file as the first of these types that it has; the last one's complaint where it has none.
NpyReader open_any(const std::string& path, std::initializer_list<DType> types, int rank, DType& type) {
  for (const DType candidate : types) {
    type = candidate;
    try {
      return NpyReader(path, candidate, rank);
    } catch (const Error&) {
      if (candidate == *(types.end() - 1)) throw;
    }
  }
  throw Error(path);
}

template <class T>
std::vector<std::int32_t> labels_as(const NpyReader& reader) {
  std::vector<T> raw(static_cast<std::size_t>(reader.elements()));
  reader.read(0, reader.elements(), raw.data());
  std::vector<std::int32_t> labels;
  labels.reserve(raw.size());
  for (std::size_t row = 0; row < raw.size(); ++row) {
    check(std::int64_t{raw[row]} >= 0 && std::int64_t{raw[row]} < 100'000,
          "{}, row {}: the label {} is not in 0 .. 99999: number the classes from 0.", reader.path(), row,
          raw[row]);
    labels.push_back(static_cast<std::int32_t>(raw[row]));
  }
  return labels;
}

std::vector<std::int32_t> read_labels(const std::string& path) {
  DType type{};
  const NpyReader reader = open_any(path, {DType::kU8, DType::kI32, DType::kI64}, 1, type);
  if (type == DType::kU8) return labels_as<std::uint8_t>(reader);
  return type == DType::kI32 ? labels_as<std::int32_t>(reader) : labels_as<std::int64_t>(reader);
}

int rank_of(const std::string& path) {
  try {
    NpyReader(path, DType::kU8, 3);
    return 3;
  } catch (const Error&) {
    return 4;
  }
}

ImageSet read_images(const std::string& path) {
  const int rank = rank_of(path);
  const NpyReader reader(path, DType::kU8, rank);
  const auto& shape = reader.shape();
  check(shape[0] > 0 && shape[1] >= 1 && shape[1] <= 1024 && shape[2] >= 1 && shape[2] <= 1024 &&
            (rank == 3 || shape[3] == 3),
        "{} is no uint8 array [N,H,W,3] or [N,H,W] with sides up to 1024.", path);
  ImageSet set{static_cast<int>(shape[1]), static_cast<int>(shape[2]), {}, {}};
  set.images.resize(static_cast<std::size_t>(shape[0] * set.image_bytes()));
  if (rank == 4) {
    reader.read(0, reader.elements(), set.images.data());
    return set;
  }
  std::vector<std::uint8_t> grey(static_cast<std::size_t>(reader.elements()));
  reader.read(0, reader.elements(), grey.data());
  for (std::size_t i = 0; i < grey.size(); ++i)
    std::fill_n(set.images.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, grey[i]);
  return set;
}

ImageSet read_split(const fs::path& root, const std::string& split) {
  const std::string images = (root / (split + "_images.npy")).string(),
                    labels = (root / (split + "_labels.npy")).string();
  ImageSet set = read_images(images);
  set.labels = read_labels(labels);
  check(set.count() * set.image_bytes() == static_cast<std::int64_t>(set.images.size()),
        "{} has {} labels for the {} images of {}: both need the same number.", labels, set.count(),
        static_cast<std::int64_t>(set.images.size()) / set.image_bytes(), images);
  return set;
}

std::vector<std::string> read_names(const fs::path& path, int classes) {
  std::vector<std::string> names;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) names.push_back(line);
  if (names.empty())
    for (int c = 0; c < classes; ++c) names.push_back(fmt::format("class {}", c));
  check(static_cast<int>(names.size()) == classes, "{} names {} classes where the labels have {}: mend it.",
        path.string(), names.size(), classes);
  return names;
}

}  // namespace

Dataset load_npy(const DatasetOptions& options) {
  check_usage(!options.data_path.empty(),
              "--dataset npy needs --data_path, the folder that holds train_images.npy.");
  const fs::path root(options.data_path);
  std::error_code ignored;
  const bool has_test = fs::exists(root / "test_images.npy", ignored);
  check(has_test || options.val_fraction > 0,
        "{} holds no test_images.npy: add it, or hold training images out with --val_fraction.",
        options.data_path);
  Dataset dataset;
  dataset.name = "npy";
  dataset.train = read_split(root, "train");
  dataset.classes = 1 + *std::max_element(dataset.train.labels.begin(), dataset.train.labels.end());
  if (has_test) {
    dataset.test = read_split(root, "test");
    check(dataset.test.height == dataset.train.height && dataset.test.width == dataset.train.width,
          "{}: test images have {} x {} pixels and training images {} x {}: make them alike.",
          options.data_path, dataset.test.height, dataset.test.width, dataset.train.height,
          dataset.train.width);
    for (const std::int32_t label : dataset.test.labels)
      check(label < dataset.classes, "{}/test_labels.npy holds the label {}, which no training image has.",
            options.data_path, label);
  }
  dataset.class_names = read_names(root / "class_names.txt", dataset.classes);
  set_channel_statistics(dataset);
  return dataset;
}

}  // namespace tdds
