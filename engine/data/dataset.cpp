#include "engine/dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/cifar.h"
#include "engine/dataset_folder.h"
#include "engine/hash.h"
#include "engine/shapes.h"
#include "kernels/check.h"
#include "kernels/philox.h"

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
  if (!dataset.manifest.empty()) {
    take_entries(dataset.manifest.files, rows);
    take_entries(dataset.manifest.bytes, rows);
  }
  if (!dataset.truth) return;
  take_entries(dataset.truth->true_labels, rows);
  take_entries(dataset.truth->wrong_label, rows);
  take_entries(dataset.truth->duplicate_of, rows);
  take_entries(dataset.truth->difficulty, rows);
}

// Of each class the rows with the smallest draws, as many as the fraction rounds to, in ascending order.
std::vector<std::int32_t> held_out_rows(const Dataset& dataset, double fraction, std::uint64_t seed) {
  struct Draw {
    std::uint32_t word;
    std::int32_t row;
  };
  std::vector<std::vector<Draw>> by_class(static_cast<std::size_t>(dataset.classes));
  for (std::int32_t row = 0; row < dataset.train.count(); ++row) {
    const auto id = static_cast<std::uint64_t>(dataset.train_ids[row]);
    by_class[dataset.train.labels[row]].push_back({philox(seed, Purpose::kHoldOut, 0, id).w[0], row});
  }
  std::vector<std::int32_t> held;
  for (auto& draws : by_class) {
    std::sort(draws.begin(), draws.end(), [](const Draw& a, const Draw& b) {
      return a.word != b.word ? a.word < b.word : a.row < b.row;
    });
    const auto count =
        static_cast<std::size_t>(std::floor(fraction * static_cast<double>(draws.size()) + 0.5));
    for (std::size_t i = 0; i < count; ++i) held.push_back(draws[i].row);
  }
  std::sort(held.begin(), held.end());
  return held;
}

void hold_out(Dataset& dataset, double fraction, std::uint64_t seed) {
  const std::vector<std::int32_t> held = held_out_rows(dataset, fraction, seed);
  check_usage(!held.empty() && static_cast<std::int64_t>(held.size()) < dataset.train.count(),
              "--val_fraction {} of {} training images leaves one side empty: choose another fraction.",
              fraction, dataset.train.count());
  std::vector<std::int32_t> all(static_cast<std::size_t>(dataset.train.count())), kept;
  std::iota(all.begin(), all.end(), 0);
  std::set_difference(all.begin(), all.end(), held.begin(), held.end(), std::back_inserter(kept));
  dataset.validation = take_rows(dataset.train, held);
  keep_training_rows(dataset, kept);
}

void keep_first(Dataset& dataset, std::int64_t count) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  keep_training_rows(dataset, rows);
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
  throw UsageError(fmt::format("--dataset '{}' is unknown: choose cifar10, cifar100, shapes, folder or npy.",
                               options.name));
}

void set_given_statistics(Dataset& dataset, const DatasetOptions& options) {
  for (std::size_t c = 0; c < options.channel_mean.size(); ++c) dataset.mean[c] = options.channel_mean[c];
  for (std::size_t c = 0; c < options.channel_std.size(); ++c) dataset.std[c] = options.channel_std[c];
}

void describe_planted(Dataset& dataset, const DatasetOptions& options) {
  if (options.label_noise > 0)
    dataset.notes.push_back(fmt::format("--label_noise gave {:g} % of the training images another label",
                                        100 * options.label_noise));
  const bool corrupts = !options.corrupt.empty() && options.corrupt_fraction > 0;
  if (corrupts)
    dataset.notes.push_back(fmt::format("{:g} % of the training images were corrupted: {}",
                                        100 * options.corrupt_fraction, fmt::join(options.corrupt, ", ")));
  if (dataset.manifest.empty()) return;
  dataset.manifest.labels = dataset.train.labels;
  if (corrupts)
    dataset.manifest.altered = fmt::format("{} of {:g}, seed {}", fmt::join(options.corrupt, ","),
                                           options.corrupt_fraction, options.seed);
}

void check_statistics(const DatasetOptions& options) {
  const auto sound = [](const std::vector<float>& values, float least) {
    return values.empty() || (values.size() == 3 && std::all_of(values.begin(), values.end(), [&](float v) {
                                return v >= least && v <= 1;
                              }));
  };
  check_usage(sound(options.channel_mean, 0),
              "--channel_mean takes three numbers from 0 to 1: red,green,blue.");
  check_usage(sound(options.channel_std, 1e-4f),
              "--channel_std takes three numbers from 0.0001 to 1: red,green,blue.");
}

}  // namespace

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
              "--val_fraction is {}: give 0 or more and below 1.", options.val_fraction);
  check_usage(options.max_train_samples >= 0, "--max_train_samples is {}: give 0 (all) or more.",
              options.max_train_samples);
  check_statistics(options);
  check_corruption(options);
  Dataset dataset = load_by_name(options);
  if (dataset.train_ids.empty()) {
    dataset.train_ids.resize(static_cast<std::size_t>(dataset.train.count()));
    std::iota(dataset.train_ids.begin(), dataset.train_ids.end(), 0);
  }
  if (options.max_train_samples > 0 && options.max_train_samples < dataset.train.count())
    keep_first(dataset, options.max_train_samples);
  if (options.val_fraction > 0) hold_out(dataset, options.val_fraction, options.seed);
  if (dataset.test.count() == 0) {
    dataset.test = *dataset.validation;
    dataset.notes.push_back("There is no test set: accuracy is that of the held-out training images.");
  }
  set_given_statistics(dataset, options);
  add_label_noise(dataset, options);
  corrupt_images(dataset, options);
  describe_planted(dataset, options);
  dataset.fingerprint = fingerprint_of(dataset.train);
  return dataset;
}

}  // namespace tdds
