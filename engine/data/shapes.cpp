#include "engine/data/shapes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/data/parallel_files.h"
#include "engine/data/shapes_draw.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

constexpr std::int64_t kMaxCount = 1'000'000;
constexpr int kFaintNoise = 3 * 16;  // of a near-duplicate: 3 of 255

// The Philox streams: the looks of the two splits, and the choice of rows.
enum Stream : std::uint32_t {
  kTrain = 0,
  kTest = 1,
  kWrongRows = 2,
  kWrongLabels = 3,
  kDuplicateRows = 4,
  kOriginals = 5
};

int class_of_row(std::int64_t row) {
  return static_cast<int>(row % kShapeClasses);
}

// `count` of the rows first .. rows - 1, without repetition, in ascending order.
std::vector<std::int32_t> choose_rows(std::uint64_t seed, Stream stream, std::int64_t first,
                                      std::int64_t rows, std::int64_t count) {
  std::vector<std::pair<std::uint32_t, std::int32_t>> draws;
  for (std::int64_t row = first; row < rows; ++row)
    draws.emplace_back(philox(seed, Purpose::kShapes, stream, static_cast<std::uint64_t>(row)).w[0],
                       static_cast<std::int32_t>(row));
  std::sort(draws.begin(), draws.end());
  std::vector<std::int32_t> chosen;
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(draws[i].second);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::int64_t share(double fraction, std::int64_t count) {
  return static_cast<std::int64_t>(std::floor(fraction * static_cast<double>(count) + 0.5));
}

// The first row of each class is never a duplicate, so that every class has an original.
std::vector<std::int32_t> plan_duplicates(const DatasetOptions& options) {
  const std::int64_t rows = options.shapes_train;
  const std::int64_t count = std::min(share(options.duplicate_fraction, rows), rows - kShapeClasses);
  std::vector<std::int32_t> duplicate_of(static_cast<std::size_t>(rows), -1);
  const auto chosen = choose_rows(options.seed, kDuplicateRows, kShapeClasses, rows, count);
  std::vector<std::vector<std::int32_t>> originals(kShapeClasses);
  for (std::int32_t row = 0; row < rows; ++row)
    if (!std::binary_search(chosen.begin(), chosen.end(), row)) originals[class_of_row(row)].push_back(row);
  for (const std::int32_t row : chosen) {
    const auto& candidates = originals[class_of_row(row)];
    const std::uint32_t word =
        philox(options.seed, Purpose::kShapes, kOriginals, static_cast<std::uint64_t>(row)).w[0];
    duplicate_of[row] = candidates[scaled(word, static_cast<std::uint32_t>(candidates.size()))];
  }
  return duplicate_of;
}

GroundTruth plan(const DatasetOptions& options, std::vector<std::int32_t>& given_labels) {
  const auto rows = static_cast<std::size_t>(options.shapes_train);
  GroundTruth truth;
  truth.wrong_label.assign(rows, 0);
  truth.difficulty.assign(rows, 0);
  truth.duplicate_of = plan_duplicates(options);
  for (std::size_t row = 0; row < rows; ++row)
    truth.true_labels.push_back(class_of_row(static_cast<std::int64_t>(row)));
  given_labels = truth.true_labels;
  const std::int64_t wrong = share(options.wrong_label_fraction, options.shapes_train);
  for (const std::int32_t row : choose_rows(options.seed, kWrongRows, 0, options.shapes_train, wrong)) {
    const std::uint32_t word =
        philox(options.seed, Purpose::kShapes, kWrongLabels, static_cast<std::uint64_t>(row)).w[0];
    const int step = 1 + static_cast<int>(scaled(word, kShapeClasses - 1));
    given_labels[row] = (truth.true_labels[row] + step) % kShapeClasses;
    truth.wrong_label[row] = 1;
  }
  return truth;
}

ImageSet blank_set(std::int64_t rows) {
  ImageSet set{kShapeSide, kShapeSide, {}, {}};
  set.images.resize(static_cast<std::size_t>(rows * set.image_bytes()));
  return set;
}

void draw_train(const DatasetOptions& options, ImageSet& set, GroundTruth& truth) {
  polled_loop(options.shapes_train, options.poll, [&](std::int64_t row) {
    const std::int32_t original = truth.duplicate_of[row];
    const auto id = static_cast<std::uint64_t>(original < 0 ? row : original);
    const ShapeLook look = draw_look(options.seed, kTrain, id);
    std::uint8_t* pixels = set.images.data() + row * set.image_bytes();
    render_shape(look, class_of_row(row), options.seed, kTrain, id, pixels);
    if (original >= 0)
      add_faint_noise(options.seed, kTrain, static_cast<std::uint64_t>(row), kFaintNoise, pixels);
    truth.difficulty[row] = static_cast<float>(look.difficulty) / 1024.0f;
  });
}

void draw_test(const DatasetOptions& options, ImageSet& set) {
  for (std::int64_t row = 0; row < options.shapes_test; ++row) set.labels.push_back(class_of_row(row));
  polled_loop(options.shapes_test, options.poll, [&](std::int64_t row) {
    const auto id = static_cast<std::uint64_t>(row);
    render_shape(draw_look(options.seed, kTest, id), class_of_row(row), options.seed, kTest, id,
                 set.images.data() + row * set.image_bytes());
  });
}

void check_options(const DatasetOptions& options) {
  check_usage(options.shapes_train >= 2 * kShapeClasses && options.shapes_train <= kMaxCount,
              "shapes cannot have {} training images: choose {} .. {}.", options.shapes_train,
              2 * kShapeClasses, kMaxCount);
  check_usage(options.shapes_test >= kShapeClasses && options.shapes_test <= kMaxCount,
              "shapes cannot have {} test images: choose {} .. {}.", options.shapes_test, kShapeClasses,
              kMaxCount);
  check_usage(options.wrong_label_fraction >= 0 && options.wrong_label_fraction <= 1,
              "`wrong_label_fraction` is {}: choose 0 .. 1.", options.wrong_label_fraction);
  check_usage(options.duplicate_fraction >= 0 && options.duplicate_fraction <= 0.5,
              "`duplicate_fraction` is {}: choose 0 .. 0.5.", options.duplicate_fraction);
}

}  // namespace

Dataset draw_shapes(const DatasetOptions& options) {
  check_options(options);
  Dataset dataset;
  dataset.name = "shapes";
  dataset.classes = kShapeClasses;
  dataset.class_names.assign(kShapeNames.begin(), kShapeNames.end());
  // The statistics of the default training images.
  dataset.mean = {126.1f / 255, 126.2f / 255, 126.2f / 255};
  dataset.std = {62.5f / 255, 59.7f / 255, 62.7f / 255};
  dataset.train = blank_set(options.shapes_train);
  dataset.test = blank_set(options.shapes_test);
  dataset.truth = plan(options, dataset.train.labels);
  draw_train(options, dataset.train, *dataset.truth);
  draw_test(options, dataset.test);
  return dataset;
}

}  // namespace tdds
