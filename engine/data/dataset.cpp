#include "engine/data/dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/data/cifar.h"
#include "engine/data/class_shares.h"
#include "engine/data/dataset_folder.h"
#include "engine/data/shapes.h"
#include "engine/io/hash.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

ImageSet take_rows(const ImageSet& set, const std::vector<std::int32_t>& rows) {
  ImageSet taken{set.height, set.width, {}, {}};
  if (set.source) {
    taken.source = rows_of(set.source, rows);
    for (const std::int32_t row : rows) taken.labels.push_back(set.labels[row]);
    return taken;
  }
  const auto bytes = static_cast<std::size_t>(set.image_bytes());
  taken.images.reserve(rows.size() * bytes);
  taken.labels.reserve(rows.size());
  for (const std::int32_t row : rows) {
    const auto image = set.images.begin() + static_cast<std::ptrdiff_t>(row * bytes);
    taken.images.insert(taken.images.end(), image, image + static_cast<std::ptrdiff_t>(bytes));
    taken.labels.push_back(set.labels[row]);
  }
  return taken;
}

template <class T>
void take_entries(std::vector<T>& values, const std::vector<std::int32_t>& rows) {
  std::vector<T> taken;
  taken.reserve(rows.size());
  for (const std::int32_t row : rows) taken.push_back(values[row]);
  values = std::move(taken);
}

void keep_training_rows(Dataset& dataset, const std::vector<std::int32_t>& rows) {
  dataset.train = take_rows(dataset.train, rows);
  take_entries(dataset.train_ids, rows);
  dataset.manifest.keep_rows(rows);
  if (!dataset.truth) return;
  take_entries(dataset.truth->true_labels, rows);
  take_entries(dataset.truth->wrong_label, rows);
  take_entries(dataset.truth->duplicate_of, rows);
  take_entries(dataset.truth->difficulty, rows);
}

std::vector<std::int32_t> first_rows(std::int64_t count) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// The rows of each class in the order of their draws by (seed, purpose, id).
std::vector<std::vector<std::int32_t>> drawn_by_class(const Dataset& dataset, std::uint64_t seed,
                                                      Purpose purpose) {
  std::vector<std::uint32_t> draws;
  std::vector<std::vector<std::int32_t>> by_class(static_cast<std::size_t>(dataset.classes));
  for (std::int32_t row = 0; row < dataset.train.count(); ++row) {
    draws.push_back(philox(seed, purpose, 0, static_cast<std::uint64_t>(dataset.train_ids[row])).w[0]);
    by_class[dataset.train.labels[row]].push_back(row);
  }
  for (auto& rows : by_class)
    std::stable_sort(rows.begin(), rows.end(),
                     [&](std::int32_t a, std::int32_t b) { return draws[a] < draws[b]; });
  return by_class;
}

// round(fraction * size) rows of each class, in ascending order. A class of two or more keeps at least one.
std::vector<std::int32_t> held_out_rows(const Dataset& dataset, double fraction, std::uint64_t seed) {
  std::vector<std::int32_t> held;
  for (const auto& rows : drawn_by_class(dataset, seed, Purpose::kHoldOut)) {
    const auto size = static_cast<std::ptrdiff_t>(rows.size());
    const auto rounded = static_cast<std::ptrdiff_t>(std::floor(fraction * static_cast<double>(size) + 0.5));
    held.insert(held.end(), rows.begin(), rows.begin() + (size >= 2 ? std::min(rounded, size - 1) : rounded));
  }
  std::sort(held.begin(), held.end());
  return held;
}

void hold_out(Dataset& dataset, double fraction, std::uint64_t seed) {
  const std::vector<std::int32_t> held = held_out_rows(dataset, fraction, seed);
  check_usage(!held.empty() && static_cast<std::int64_t>(held.size()) < dataset.train.count(),
              "`val_fraction` {} of {} training images leaves one side empty: choose another fraction.",
              fraction, dataset.train.count());
  const std::vector<std::int32_t> all = first_rows(dataset.train.count());
  std::vector<std::int32_t> kept;
  std::set_difference(all.begin(), all.end(), held.begin(), held.end(), std::back_inserter(kept));
  dataset.validation = take_rows(dataset.train, held);
  dataset.validation_manifest = dataset.manifest;
  dataset.validation_manifest.keep_rows(held);
  keep_training_rows(dataset, kept);
}

// `count` rows, drawn by the seed in proportion to the classes' sizes, in ascending order.
std::vector<std::int32_t> share_of_rows(const Dataset& dataset, std::int64_t count, std::uint64_t seed) {
  const auto by_class = drawn_by_class(dataset, seed, Purpose::kTakeShare);
  std::vector<std::int64_t> sizes;
  sizes.reserve(by_class.size());
  for (const auto& rows : by_class) sizes.push_back(static_cast<std::int64_t>(rows.size()));
  const std::vector<std::int64_t> shares = class_shares(sizes, count);
  std::vector<std::int32_t> kept;
  for (std::size_t c = 0; c < by_class.size(); ++c)
    kept.insert(kept.end(), by_class[c].begin(), by_class[c].begin() + shares[c]);
  std::sort(kept.begin(), kept.end());
  return kept;
}

// A user's own files are often sorted by class, so the first ones would lack whole classes.
void keep_some(Dataset& dataset, std::int64_t count, std::uint64_t seed) {
  const bool by_class = dataset.name == "folder" || dataset.name == "npy";
  const std::int64_t all = dataset.train.count();
  keep_training_rows(dataset, by_class ? share_of_rows(dataset, count, seed) : first_rows(count));
  if (by_class)
    dataset.notes.push_back(fmt::format(
        "{} of {} training images are kept, each class's share drawn by the seed {}: rows are not ids", count,
        all, seed));
}

// Names the first few classes that `labels` lacks.
std::string missing_classes(const Dataset& dataset, const std::vector<std::int32_t>& labels,
                            std::size_t& missing) {
  constexpr std::size_t kShown = 5;
  std::vector<bool> present(static_cast<std::size_t>(dataset.classes));
  for (const std::int32_t label : labels) present[label] = true;
  std::vector<std::string> shown;
  missing = 0;
  for (std::size_t c = 0; c < present.size(); ++c)
    if (!present[c] && ++missing <= kShown)
      shown.push_back(c >= dataset.class_names.size() || dataset.class_names[c] == fmt::format("class {}", c)
                          ? fmt::format("{}", c)
                          : fmt::format("{} ({})", c, dataset.class_names[c]));
  return fmt::format("{}{}", fmt::join(shown, ", "),
                     missing > kShown ? fmt::format(" and {} more", missing - kShown) : "");
}

void name_missing_classes(Dataset& dataset) {
  const auto tell = [&](const std::vector<std::int32_t>& labels, const char* images) {
    std::size_t missing = 0;
    const std::string names = missing_classes(dataset, labels, missing);
    if (missing > 0)
      dataset.notes.push_back(fmt::format("{} of {} classes {} no {} image: {}", missing, dataset.classes,
                                          missing == 1 ? "has" : "have", images, names));
  };
  tell(dataset.train.labels, "training");
  if (dataset.validation) tell(dataset.validation->labels, "held-out");
}

void add_number(Hash& hash, std::int64_t value) {
  std::uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
  hash.add(bytes, sizeof bytes);
}

Dataset load_by_name(const DatasetOptions& options) {
  if (is_cifar(options.name)) return load_cifar(options);
  if (options.name == "shapes") return draw_shapes(options);
  if (options.name == "folder") return load_folder(options);
  if (options.name == "npy") return load_npy(options);
  throw UsageError(fmt::format("there is no data set '{}': choose from {}.", options.name,
                               fmt::join(dataset_names(), ", ")));
}

void set_given_statistics(Dataset& dataset, const DatasetOptions& options) {
  for (std::size_t c = 0; c < options.channel_mean.size(); ++c) dataset.mean[c] = options.channel_mean[c];
  for (std::size_t c = 0; c < options.channel_std.size(); ++c) dataset.std[c] = options.channel_std[c];
}

void describe_planted(Dataset& dataset, const DatasetOptions& options) {
  if (options.label_noise > 0)
    dataset.notes.push_back(
        fmt::format("{:g} % of the training images were given another label", 100 * options.label_noise));
  const bool corrupts = !options.corrupt.empty() && options.corrupt_fraction > 0;
  std::vector<const char*> corruptions;
  for (const Corruption kind : options.corrupt) corruptions.push_back(to_string(kind));
  if (corrupts)
    dataset.notes.push_back(fmt::format("{:g} % of the training images were corrupted: {}",
                                        100 * options.corrupt_fraction, fmt::join(corruptions, ", ")));
  if (dataset.manifest.empty()) return;
  dataset.manifest.labels = dataset.train.labels;
  if (corrupts)
    dataset.manifest.altered = fmt::format("{} of {:g}, seed {}", fmt::join(corruptions, ","),
                                           options.corrupt_fraction, options.seed);
}

void check_statistics(const DatasetOptions& options) {
  const auto sound = [](const std::vector<float>& values, float least) {
    return values.empty() || (values.size() == 3 && std::all_of(values.begin(), values.end(), [&](float v) {
                                return v >= least && v <= 1;
                              }));
  };
  check_usage(sound(options.channel_mean, 0),
              "`channel_mean` takes three numbers from 0 to 1: red,green,blue.");
  check_usage(sound(options.channel_std, 1e-4f),
              "`channel_std` takes three numbers from 0.0001 to 1: red,green,blue.");
}

}  // namespace

std::vector<std::string> dataset_names() {
  return {"cifar10", "cifar100", "folder", "npy", "shapes"};
}

void ImageSet::read_image(std::int64_t row, std::uint8_t* out) const {
  if (source)
    source->read(row, out);
  else
    std::copy_n(images.data() + row * image_bytes(), image_bytes(), out);
}

std::string fingerprint_of(const ImageSet& set) {
  Hash hash(HashKind::kSha256);
  for (const std::int64_t extent : {std::int64_t{set.height}, std::int64_t{set.width}, set.count()})
    add_number(hash, extent);
  hash.add(set.images.data(), set.images.size());
  for (std::int64_t row = 0; set.source && row < set.count(); ++row)
    add_number(hash, set.source->checksum(row));
  for (const std::int32_t label : set.labels) add_number(hash, label);
  return hash.hex();
}

Dataset load_dataset(const DatasetOptions& options) {
  check_usage(options.val_fraction >= 0 && options.val_fraction < 1,
              "`val_fraction` is {}: give 0 or more and below 1.", options.val_fraction);
  check_usage(options.max_train_samples >= 0, "`max_train_samples` is {}: give 0 (all) or more.",
              options.max_train_samples);
  check_statistics(options);
  check_corruption(options);
  Dataset dataset = load_by_name(options);
  if (dataset.train_ids.empty()) {
    dataset.train_ids.resize(static_cast<std::size_t>(dataset.train.count()));
    std::iota(dataset.train_ids.begin(), dataset.train_ids.end(), 0);
  }
  if (options.max_train_samples > 0 && options.max_train_samples < dataset.train.count())
    keep_some(dataset, options.max_train_samples, options.seed);
  if (options.val_fraction > 0) hold_out(dataset, options.val_fraction, options.seed);
  if (dataset.test.count() == 0) {
    dataset.test = *dataset.validation;
    dataset.test_manifest = dataset.validation_manifest;
    dataset.notes.push_back("There is no test set: accuracy is that of the held-out training images.");
  }
  set_given_statistics(dataset, options);
  add_label_noise(dataset, options);
  name_missing_classes(dataset);
  corrupt_images(dataset, options);
  describe_planted(dataset, options);
  dataset.fingerprint = fingerprint_of(dataset.train);
  dataset.test_fingerprint = fingerprint_of(dataset.test);
  if (dataset.validation) dataset.validation_fingerprint = fingerprint_of(*dataset.validation);
  return dataset;
}

}  // namespace tdds
