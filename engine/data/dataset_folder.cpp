#include "engine/data/dataset_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "engine/data/dataset_cache.h"
#include "engine/data/image_listing.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

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

void tell_bad(const DecodeRequest& request, const std::vector<std::string>& bad,
              const std::vector<std::int32_t>& ids, std::vector<std::string>& notes) {
  check(!ids.empty(), "{} holds no readable image: all {} were left out; the first: {}", request.folder,
        request.files.size(), bad.empty() ? "" : bad.front());
  if (!bad.empty())
    notes.push_back(fmt::format("{} of {} images under {} were left out; the first: {}", bad.size(),
                                request.files.size(), request.folder, bad.front()));
}

// The rows of a split whose files could be decoded.
struct Split {
  ImageSet set;
  std::vector<std::int32_t> ids = {};  // of each row, its file's place in the listing
  Manifest manifest = {};
};

template <class Images>
void add_good_rows(const DecodeRequest& request, const Images& images, Split& split) {
  split.manifest.folder = fs::absolute(request.folder).lexically_normal().string();
  for (std::size_t file = 0; file < request.files.size(); ++file) {
    if (images.good[file] == 0) continue;
    split.ids.push_back(static_cast<std::int32_t>(file));
    split.set.labels.push_back(request.labels[file]);
    split.manifest.files.push_back(request.files[file]);
    split.manifest.bytes.push_back(images.stamps[file].identity.bytes);
    split.manifest.contents.push_back(images.stamps[file].content);
  }
  split.manifest.labels = split.set.labels;
}

Split leave_on_disk(const DecodeRequest& request, std::vector<std::string>& notes) {
  check(!request.cache_dir.empty(),
        "The images of {} take {:.1f} MB, more than is held in memory (`data_memory`): give `cache_dir`, and "
        "they are read from there, or a smaller `image_size`.",
        request.folder, static_cast<double>(decoded_bytes(request)) / 1e6);
  const StoredImages images = store_files(request);
  notes.push_back(images.note);
  Split split{.set = {request.size, request.size, {}, {}}};
  add_good_rows(request, images, split);
  split.set.source = rows_of(images.source, split.ids);
  tell_bad(request, images.bad, split.ids, notes);
  return split;
}

// Bad rows are left out.
Split decode_split(const std::string& folder, const ImageListing& listing, const DatasetOptions& options,
                   std::vector<std::string>& notes) {
  const DecodeRequest request{.folder = folder,
                              .files = listing.files,
                              .labels = listing.labels,
                              .size = options.image_size,
                              .cache_dir = options.cache_dir,
                              .skip_bad = options.skip_bad,
                              .exif_rotate = options.exif_rotate,
                              .progress = options.progress,
                              .announce = options.announce,
                              .poll = options.poll};
  if (decoded_bytes(request) > memory_limit(options)) return leave_on_disk(request, notes);
  DecodedImages images = decode_files(request);
  notes.push_back(images.note);
  Split split{.set = {options.image_size, options.image_size, std::move(images.pixels), {}}};
  add_good_rows(request, images, split);
  const auto bytes = static_cast<std::ptrdiff_t>(split.set.image_bytes());
  for (std::size_t row = 0; row < split.ids.size(); ++row) {
    const auto from = split.set.images.begin() + split.ids[row] * bytes;
    if (split.ids[row] != static_cast<std::int32_t>(row))
      std::copy(from, from + bytes, split.set.images.begin() + static_cast<std::ptrdiff_t>(row) * bytes);
  }
  split.set.images.resize(split.ids.size() * static_cast<std::size_t>(bytes));
  tell_bad(request, images.bad, split.ids, notes);
  return split;
}

// ILSVRC2012 is distributed with its images under ILSVRC/Data/CLS-LOC.
fs::path root_of(const fs::path& data_path) {
  const fs::path nested = data_path / "ILSVRC" / "Data" / "CLS-LOC";
  return !fs::is_directory(data_path / "train") && fs::is_directory(nested / "train") ? nested : data_path;
}

}  // namespace

void set_channel_statistics(Dataset& dataset) {
  const ImageSet& set = dataset.train;
  ImageSource::Sums sums{};
  for (std::size_t i = 0; i < set.images.size(); ++i) {
    const std::int64_t value = set.images[i];
    sums.sum[i % 3] += value;
    sums.squares[i % 3] += value * value;
  }
  for (std::int64_t row = 0; set.source && row < set.count(); ++row) {
    const ImageSource::Sums of_row = set.source->sums(row);
    for (int c = 0; c < 3; ++c) {
      sums.sum[c] += of_row.sum[c];
      sums.squares[c] += of_row.squares[c];
    }
  }
  const std::int64_t pixels = set.count() * set.image_bytes() / 3;
  const auto count = static_cast<double>(pixels);
  for (std::size_t c = 0; c < 3; ++c) {
    const double mean = static_cast<double>(sums.sum[c]) / count;
    const double variance = std::max(0.0, static_cast<double>(sums.squares[c]) / count - mean * mean);
    dataset.mean[c] = static_cast<float>(mean / 255);
    dataset.std[c] = static_cast<float>(std::max(1.0, std::sqrt(variance)) / 255);
  }
}

std::int64_t memory_limit(const DatasetOptions& options) {
  constexpr double kGib = 1 << 30;
  if (options.memory_gib > 0) return static_cast<std::int64_t>(options.memory_gib * kGib);
  return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE) / 2;
}

Dataset load_folder(const DatasetOptions& options) {
  check_usage(!options.data_path.empty(),
              "`dataset` folder needs `data_path`, the folder that holds train/.");
  check_usage(options.image_size >= 8 && options.image_size <= 1024, "`image_size` is {}: choose 8 .. 1024.",
              options.image_size);
  check_usage(options.memory_gib >= 0,
              "`data_memory` is {}: give GiB, or 0 for half of the machine's memory.", options.memory_gib);
  const fs::path root = root_of(options.data_path);
  const std::string train_folder = (root / "train").string();
  check(fs::is_directory(train_folder), "{} is not a folder: `data_path` must hold train/<class>/<image>.",
        train_folder);
  const std::string test_folder = (root / (fs::is_directory(root / "val") ? "val" : "test")).string();
  check(fs::is_directory(test_folder) || options.val_fraction > 0,
        "{} holds neither val/ nor test/: add one, or hold training images out with `val_fraction`.",
        root.string());

  Dataset dataset;
  dataset.name = "folder";
  const ImageListing train = list_images(train_folder, options.poll);
  const bool has_test = fs::is_directory(test_folder), loose = has_test && has_loose_images(test_folder);
  ImageListing test;
  if (has_test && !loose) test = list_images(test_folder, options.poll);
  if (has_test && !loose) check_same_classes(train, test, test_folder);
  if (loose) test = list_loose_images(test_folder, options.data_path, train.class_names);
  const std::string old_caches = note_on_old_caches(options.cache_dir);
  if (!old_caches.empty()) dataset.notes.push_back(old_caches);
  Split of_train = decode_split(train_folder, train, options, dataset.notes);
  dataset.train = std::move(of_train.set);
  dataset.train_ids = std::move(of_train.ids);
  dataset.manifest = std::move(of_train.manifest);
  dataset.train_files = train.files;
  dataset.class_names = train.class_names;
  dataset.classes = static_cast<int>(train.class_names.size());
  if (has_test) {
    Split of_test = decode_split(test_folder, test, options, dataset.notes);
    dataset.test = std::move(of_test.set);
    dataset.test_manifest = std::move(of_test.manifest);
  }
  for (const std::string& note : {train.not_read, train.different, test.not_read})
    if (!note.empty()) dataset.notes.push_back(note);
  set_channel_statistics(dataset);
  return dataset;
}

}  // namespace tdds
