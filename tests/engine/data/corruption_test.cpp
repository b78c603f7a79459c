#include "engine/data/corruption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/data/dataset.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr int kSide = 32;
using Pixels = std::vector<std::uint8_t>;

Pixels ramp() {
  Pixels pixels;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x)
      for (int c = 0; c < 3; ++c) pixels.push_back(static_cast<std::uint8_t>(60 + 3 * x + y + 5 * c));
  return pixels;
}

Pixels corrupted(Corruption kind, Pixels pixels, std::uint64_t id = 7, std::uint64_t seed = 1) {
  corrupt_image(kind, seed, id, kSide, kSide, pixels.data());
  return pixels;
}

TEST(CorruptionTest, IsAFunctionOfSeedAndSample) {
  for (const Corruption kind : kCorruptions) {
    EXPECT_EQ(corrupted(kind, ramp()), corrupted(kind, ramp()));
    EXPECT_NE(corrupted(kind, ramp()), ramp());
  }
  EXPECT_NE(corrupted(Corruption::kFog, ramp(), 7), corrupted(Corruption::kFog, ramp(), 8));
  EXPECT_NE(corrupted(Corruption::kFog, ramp(), 7, 1), corrupted(Corruption::kFog, ramp(), 7, 2));
}

TEST(CorruptionTest, NoiseHasTheStandardDeviationThatItSays) {
  const Pixels grey(3 * kSide * kSide, 128);
  double sum = 0, squares = 0, n = 0;
  for (std::uint64_t id = 0; id < 20; ++id)
    for (const std::uint8_t value : corrupted(Corruption::kGaussianNoise, grey, id)) {
      sum += value - 128.0;
      squares += (value - 128.0) * (value - 128.0);
      ++n;
    }
  // 61,440 values: the mean is known to 0.15, the deviation to 0.11; truncation towards zero shifts values
  // by up to a half.
  EXPECT_NEAR(sum / n, 0, 0.6);
  EXPECT_NEAR(std::sqrt(squares / n), 38, 1);
}

TEST(CorruptionTest, OcclusionIsABlackSquareOfHalfTheSide) {
  for (std::uint64_t id = 0; id < 50; ++id) {
    const Pixels image = corrupted(Corruption::kOcclusion, ramp(), id);
    EXPECT_EQ(std::count(image.begin(), image.end(), 0), 3 * 16 * 16) << id;
  }
}

TEST(CorruptionTest, ResolutionLeavesTheMeansOfBlocks) {
  const Pixels image = corrupted(Corruption::kResolution, ramp());
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const int top = y / 4 * 4, left = x / 4 * 4;
      EXPECT_NEAR(image[3 * (kSide * y + x)], 60 + 3 * (left + 1.5) + (top + 1.5), 0.5);
    }
}

TEST(CorruptionTest, FogTakesEveryValueSomeOfTheWayToWhite) {
  const Pixels image = corrupted(Corruption::kFog, ramp()), before = ramp();
  for (std::size_t i = 0; i < image.size(); ++i) {
    const double share = (image[i] - before[i]) / (255.0 - before[i]);
    EXPECT_GE(share, 0.39) << i;
    EXPECT_LE(share, 0.81) << i;
  }
}

// The same interpolation in floating point. A row of four densities is one draw, from the third on.
TEST(CorruptionTest, FogIsInterpolatedBetweenFourTimesFourDensities) {
  for (std::uint64_t id = 0; id < 4; ++id) {
    double density[4][4];
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j)
        density[i][j] = 400 + scaled(philox(1, Purpose::kCorrupt, 2 + i, id).w[j], 401);
    const Pixels before = ramp(), image = corrupted(Corruption::kFog, before, id);
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        const double down = 3.0 * y / kSide, right = 3.0 * x / kSide, v = std::fmod(down, 1),
                     u = std::fmod(right, 1);
        const int i = static_cast<int>(down), j = static_cast<int>(right);
        const double fog = 1e-3 * std::lerp(std::lerp(density[i][j], density[i][j + 1], u),
                                            std::lerp(density[i + 1][j], density[i + 1][j + 1], u), v);
        for (int c = 0; c < 3; ++c) {
          const int at = 3 * (kSide * y + x) + c;
          EXPECT_NEAR(image[at], std::lerp(before[at], 255.0, fog), 1.5) << id << ": " << y << ", " << x;
        }
      }
  }
}

TEST(CorruptionTest, MotionBlurTakesAwayDetailAlongOneDirection) {
  Pixels dot(3 * kSide * kSide, 0);
  std::fill_n(dot.begin() + 3 * (kSide * 16 + 16), 3, std::uint8_t{240});
  const Pixels image = corrupted(Corruption::kMotionBlur, dot);
  EXPECT_EQ(std::count(image.begin(), image.end(), 240 / 8), 3 * 8);
}

TEST(CorruptionTest, SmallAndOblongImagesAreCorruptedToo) {
  for (const Corruption kind : kCorruptions)
    for (const auto& [height, width] : {std::pair{1, 1}, {2, 9}, {9, 2}, {8, 40}}) {
      Pixels pixels(static_cast<std::size_t>(3 * height * width), 100);
      corrupt_image(kind, 3, 4, height, width, pixels.data());
    }
}

DatasetOptions shapes() {
  DatasetOptions options;
  options.name = "shapes";
  options.shapes_train = 200;
  options.shapes_test = 20;
  options.wrong_label_fraction = 0;
  return options;
}

TEST(CorruptionTest, LabelNoiseIsEvenOverTheOtherClasses) {
  DatasetOptions options = shapes();
  options.shapes_train = 5000;
  const Dataset clean = load_dataset(options);
  options.label_noise = 0.3;
  const Dataset noisy = load_dataset(options);
  std::vector<int> steps(10);
  for (std::size_t row = 0; row < clean.train.labels.size(); ++row) {
    const int step = (noisy.train.labels[row] - clean.train.labels[row] + 10) % 10;
    ++steps[static_cast<std::size_t>(step)];
    EXPECT_EQ(noisy.truth->wrong_label[row], step != 0 ? 1 : 0);
    EXPECT_EQ(noisy.truth->true_labels[row], clean.train.labels[row]);
  }
  EXPECT_EQ(steps[0], 3500);
  for (int step = 1; step < 10; ++step) EXPECT_NEAR(steps[static_cast<std::size_t>(step)], 1500 / 9.0, 50);
  EXPECT_EQ(noisy.test.labels, clean.test.labels);
  EXPECT_NE(noisy.fingerprint, clean.fingerprint);
}

// Noise may change a label that was already wrong, and then it may become the true one.
TEST(CorruptionTest, LabelNoiseOnWrongLabelsKeepsTheTruth) {
  DatasetOptions options = shapes();
  options.wrong_label_fraction = 0.5;
  const Dataset planted = load_dataset(options);
  options.label_noise = 1;
  const Dataset noisy = load_dataset(options);
  EXPECT_EQ(noisy.truth->true_labels, planted.truth->true_labels);
  int became_right = 0;
  for (std::size_t row = 0; row < noisy.train.labels.size(); ++row) {
    const bool wrong = noisy.train.labels[row] != noisy.truth->true_labels[row];
    EXPECT_EQ(noisy.truth->wrong_label[row], wrong ? 1 : 0) << row;
    became_right += wrong ? 0 : 1;
  }
  EXPECT_GT(became_right, 0);
}

TEST(CorruptionTest, SharesOutsideZeroToOneAreRefused) {
  const std::pair<const char*, double DatasetOptions::*> shares[] = {
      {"label_noise", &DatasetOptions::label_noise}, {"corrupt_fraction", &DatasetOptions::corrupt_fraction}};
  for (const auto& [name, share] : shares) {
    DatasetOptions options;
    for (const double valid : {0.0, 0.5, 1.0}) {
      options.*share = valid;
      EXPECT_NO_THROW(check_corruption(options)) << name << " " << valid;
    }
    for (const double invalid : {-0.01, 1.01, std::numeric_limits<double>::quiet_NaN()}) {
      options.*share = invalid;
      EXPECT_THAT([&] { check_corruption(options); },
                  testing::ThrowsMessage<UsageError>(testing::HasSubstr(name)))
          << invalid;
    }
  }
}

TEST(CorruptionTest, HeldOutImagesStayAsTheyAre) {
  DatasetOptions options = shapes();
  options.val_fraction = 0.25;
  const Dataset clean = load_dataset(options);
  options.label_noise = 0.5;
  options.corrupt = {Corruption::kFog, Corruption::kOcclusion};
  options.corrupt_fraction = 0.4;
  const Dataset planted = load_dataset(options);
  EXPECT_EQ(planted.validation->labels, clean.validation->labels);
  EXPECT_TRUE(planted.validation->images == clean.validation->images);
  EXPECT_TRUE(planted.test.images == clean.test.images);
  const auto& kinds = planted.truth->corruption;
  EXPECT_EQ(std::count_if(kinds.begin(), kinds.end(), [](int kind) { return kind != 0; }), 60);
  for (const std::uint8_t kind : kinds)
    EXPECT_TRUE(kind == 0 || kind == 1 + int(Corruption::kFog) || kind == 1 + int(Corruption::kOcclusion));
  const auto bytes = static_cast<std::size_t>(clean.train.image_bytes());
  for (std::size_t row = 0; row < kinds.size(); ++row) {
    const auto at = static_cast<std::ptrdiff_t>(row * bytes);
    const bool same = std::equal(clean.train.images.begin() + at,
                                 clean.train.images.begin() + at + static_cast<std::ptrdiff_t>(bytes),
                                 planted.train.images.begin() + at);
    EXPECT_EQ(same, kinds[row] == 0) << row;
  }
}

}  // namespace
}  // namespace tdds
