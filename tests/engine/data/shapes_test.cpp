#include "engine/data/shapes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/data/shapes_draw.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

DatasetOptions shapes_options(std::int64_t train = 5000, std::int64_t test = 1000) {
  DatasetOptions options;
  options.name = "shapes";
  options.shapes_train = train;
  options.shapes_test = test;
  return options;
}

const Dataset& some_shapes() {
  static const Dataset dataset = draw_shapes(shapes_options(1000, 50));
  return dataset;
}

double image_distance(const ImageSet& set, std::int64_t a, std::int64_t b) {
  double sum = 0;
  for (std::int64_t i = 0; i < set.image_bytes(); ++i) {
    const double difference = set.images[a * set.image_bytes() + i] - set.images[b * set.image_bytes() + i];
    sum += difference * difference;
  }
  return std::sqrt(sum / static_cast<double>(set.image_bytes()));
}

// The drawing is integer arithmetic: any difference on any machine or compiler is an error. The
// normalisation constants have one decimal, like CIFAR's.
TEST(ShapesTest, AreTheSameOnEveryMachineAndMatchTheirConstants) {
  const Dataset dataset = draw_shapes(shapes_options());
  EXPECT_EQ(fingerprint_of(dataset.train),
            "dfb45e9ea1f4ea35e6e15cd90daddffab1246429fd62950c3bc2eaa06798f661");
  EXPECT_EQ(fingerprint_of(dataset.test), "4ca29c4252d46f5e78ffdab6822050714a71e8beae6bad4c7c42ab711619e039");
  double sum[3] = {}, squares[3] = {};
  for (std::size_t i = 0; i < dataset.train.images.size(); ++i) {
    sum[i % 3] += dataset.train.images[i];
    squares[i % 3] += dataset.train.images[i] * dataset.train.images[i];
  }
  const double count = static_cast<double>(dataset.train.images.size()) / 3;
  for (int c = 0; c < 3; ++c) {
    const double mean = sum[c] / count, deviation = std::sqrt(squares[c] / count - mean * mean);
    EXPECT_NEAR(dataset.mean[c] * 255, mean, 0.051);
    EXPECT_NEAR(dataset.std[c] * 255, deviation, 0.051);
  }
}

TEST(ShapesTest, PlantsExactlyTheWrongLabelsThatItReports) {
  const Dataset& dataset = some_shapes();
  const GroundTruth& truth = *dataset.truth;
  int wrong = 0;
  std::vector<int> steps(kShapeClasses);
  for (std::int64_t row = 0; row < dataset.train.count(); ++row) {
    ASSERT_GE(dataset.train.labels[row], 0);
    ASSERT_LT(dataset.train.labels[row], kShapeClasses);
    EXPECT_EQ(truth.true_labels[row], row % kShapeClasses);
    EXPECT_EQ(truth.wrong_label[row] == 1, dataset.train.labels[row] != truth.true_labels[row]);
    wrong += truth.wrong_label[row];
    ++steps[(dataset.train.labels[row] - truth.true_labels[row] + kShapeClasses) % kShapeClasses];
  }
  EXPECT_EQ(wrong, 100);
  for (int step = 1; step < kShapeClasses; ++step)
    EXPECT_NEAR(steps[step], 100 / 9.0, 4 * std::sqrt(100 / 9.0));
  for (std::int64_t row = 0; row < dataset.test.count(); ++row)
    EXPECT_EQ(dataset.test.labels[row], row % kShapeClasses);
}

TEST(ShapesTest, NearDuplicatesAreNearAndOthersAreNot) {
  const Dataset& dataset = some_shapes();
  const GroundTruth& truth = *dataset.truth;
  int duplicates = 0;
  for (std::int64_t row = 0; row < dataset.train.count(); ++row) {
    const std::int32_t original = truth.duplicate_of[row];
    if (original < 0) continue;
    ++duplicates;
    EXPECT_EQ(truth.duplicate_of[original], -1);
    EXPECT_EQ(truth.true_labels[original], truth.true_labels[row]);
    EXPECT_EQ(truth.difficulty[original], truth.difficulty[row]);
    const double distance = image_distance(dataset.train, row, original);
    EXPECT_GT(distance, 1);
    EXPECT_LT(distance, 4);
  }
  EXPECT_EQ(duplicates, 50);
  for (std::int64_t row = 10; row < 400; ++row)
    if (truth.duplicate_of[row] != row - 10 && truth.duplicate_of[row - 10] != row) {
      EXPECT_GT(image_distance(dataset.train, row, row - 10), 10);
    }
}

TEST(ShapesTest, DifficultyIsUniformAndMakesImagesNoisierAndPaler) {
  const std::vector<float>& difficulty = some_shapes().truth->difficulty;
  EXPECT_NEAR(std::accumulate(difficulty.begin(), difficulty.end(), 0.0) / 1000, 0.5, 0.04);
  EXPECT_LT(*std::min_element(difficulty.begin(), difficulty.end()), 0.01f);
  EXPECT_GT(*std::max_element(difficulty.begin(), difficulty.end()), 0.99f);
  int seen = 0;
  for (std::uint64_t id = 0; id < 400; ++id) {
    const ShapeLook look = draw_look(42, 0, id);
    const auto brightness = [](const ShapeColour& c) { return (5 * c[0] + 9 * c[1] + 2 * c[2]) / 16.0; };
    const double contrast = std::abs(brightness(look.figure) - brightness(look.background));
    if (look.difficulty < 200) {
      EXPECT_LT(look.noise, 100);
      EXPECT_GT(look.radius, 82);
      EXPECT_GT(contrast, 60);
      EXPECT_LE(look.patches.size(), 1u);
      ++seen;
    } else if (look.difficulty > 824) {
      EXPECT_GT(look.noise, 260);
      EXPECT_LT(look.radius, 80);
      EXPECT_GE(look.patches.size(), 3u);
      ++seen;
    }
  }
  EXPECT_GT(seen, 100);
}

// White figures on black: any two classes differ in at least 2 % of the pixels (255 * sqrt(0.02) is 36),
// even if one is flipped.
TEST(ShapesTest, ClassesStayApartUnderFlips) {
  ShapeLook look = draw_look(1, 0, 0);
  look.patches.clear();
  look.noise = 0;
  look.rotation = 9;
  look.radius = 70;
  look.figure = {255, 255, 255};
  look.background = look.far_background = {0, 0, 0};
  look.blobs.fill(0);
  ImageSet set{kShapeSide, kShapeSide, std::vector<std::uint8_t>(20 * 3072), std::vector<std::int32_t>(20)};
  for (int c = 0; c < kShapeClasses; ++c) {
    render_shape(look, c, 1, 0, 0, set.images.data() + c * 3072);
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x)
        std::copy_n(&set.images[c * 3072 + 3 * (32 * y + x)], 3,
                    &set.images[(10 + c) * 3072 + 3 * (32 * y + 31 - x)]);
  }
  for (int a = 0; a < kShapeClasses; ++a)
    for (int b = a + 1; b < kShapeClasses; ++b) {
      EXPECT_GT(image_distance(set, a, b), 36) << kShapeNames[a] << " and " << kShapeNames[b];
      EXPECT_GT(image_distance(set, a, 10 + b), 36) << kShapeNames[a] << " and flipped " << kShapeNames[b];
    }
}

TEST(ShapesTest, FollowTheSeedAndOtherSplitsShareNothing) {
  DatasetOptions options = shapes_options(100, 100);
  const Dataset one = draw_shapes(options);
  options.seed = 43;
  const Dataset two = draw_shapes(options);
  for (std::int64_t row = 0; row < 100; ++row) {
    EXPECT_FALSE(std::equal(&one.train.images[row * 3072], &one.train.images[row * 3072] + 3072,
                            &two.train.images[row * 3072]));
    EXPECT_FALSE(std::equal(&one.train.images[row * 3072], &one.train.images[row * 3072] + 3072,
                            &one.test.images[row * 3072]));
  }
  // A larger set begins with the same looks.
  options = shapes_options(200, 10);
  options.duplicate_fraction = 0;
  const Dataset large = draw_shapes(options);
  options.shapes_train = 100;
  const Dataset small = draw_shapes(options);
  EXPECT_TRUE(std::equal(small.train.images.begin(), small.train.images.end(), large.train.images.begin()));
}

TEST(ShapesTest, FractionsAndCountsAreChecked) {
  const auto with = [](auto change) {
    DatasetOptions options = shapes_options(100, 20);
    change(options);
    return draw_shapes(options);
  };
  EXPECT_THROW(with([](auto& o) { o.wrong_label_fraction = 1.5; }), UsageError);
  EXPECT_THROW(with([](auto& o) { o.wrong_label_fraction = std::nan(""); }), UsageError);
  EXPECT_THROW(with([](auto& o) { o.duplicate_fraction = -0.1; }), UsageError);
  EXPECT_THROW(with([](auto& o) { o.shapes_train = 19; }), UsageError);
  EXPECT_THROW(with([](auto& o) { o.shapes_test = 0; }), UsageError);
  const Dataset all_wrong = with([](auto& o) { o.wrong_label_fraction = 1; });
  for (std::int64_t row = 0; row < 100; ++row) EXPECT_NE(all_wrong.train.labels[row], row % kShapeClasses);
  const Dataset half = with([](auto& o) { o.duplicate_fraction = 0.5; });
  EXPECT_EQ(std::count(half.truth->duplicate_of.begin(), half.truth->duplicate_of.end(), -1), 50);
}

// A fraction is checked after the counts, so an impossible one ends a large set before it is drawn.
TEST(ShapesTest, CountsAreCheckedAtBothEndsOfTheirRanges) {
  const auto refused_for = [](std::int64_t train, std::int64_t test) {
    DatasetOptions options = shapes_options(train, test);
    options.duplicate_fraction = 2;
    try {
      draw_shapes(options);
      return std::string("nothing");
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
  };
  const auto text = [](std::int64_t count, const char* set, int least) {
    return fmt::format("shapes cannot have {} {} images: choose {} .. 1000000.", count, set, least);
  };
  const std::string drawn = "`duplicate_fraction` is 2: choose 0 .. 0.5.";
  EXPECT_EQ(refused_for(20, 10), drawn);
  EXPECT_EQ(refused_for(1'000'000, 1'000'000), drawn);
  EXPECT_EQ(refused_for(19, 10), text(19, "training", 20));
  EXPECT_EQ(refused_for(1'000'001, 10), text(1'000'001, "training", 20));
  EXPECT_EQ(refused_for(20, 9), text(9, "test", 10));
  EXPECT_EQ(refused_for(20, 1'000'001), text(1'000'001, "test", 10));
}

}  // namespace
}  // namespace tdds
