#include "apps/train/curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stb/stb_image.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "apps/train/canvas.h"
#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Picture {
  explicit Picture(const std::filesystem::path& path)
      : pixels(stbi_load(path.c_str(), &width, &height, &channels, 3), stbi_image_free) {}

  bool is(int x, int y, int red, int green, int blue) const {
    const unsigned char* at = pixels.get() + 3 * (y * width + x);
    return at[0] == red && at[1] == green && at[2] == blue;
  }
  int count(int red, int green, int blue) const {
    int found = 0;
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) found += is(x, y, red, green, blue);
    return found;
  }

  int width = 0, height = 0, channels = 0;
  std::unique_ptr<unsigned char, void (*)(void*)> pixels;
};

TEST(Canvas, ALineCoversItsArea) {
  const TemporaryFolder folder;
  Canvas canvas(40, 20);
  const Point ends[] = {{10, 10}, {30, 10}};
  canvas.draw_line(ends, 4, {0, 0, 0});
  canvas.write_png(folder / "a.png");
  const Picture picture(folder / "a.png");
  for (int x = 10; x < 30; ++x) {
    for (int y = 8; y < 12; ++y) EXPECT_TRUE(picture.is(x, y, 0, 0, 0)) << x << " " << y;
    EXPECT_TRUE(picture.is(x, 7, 255, 255, 255)) << x;
    EXPECT_TRUE(picture.is(x, 12, 255, 255, 255)) << x;
  }
}

// Overlapping joints must not darken a translucent edge: the stroke is one shape.
TEST(Canvas, AJointIsPaintedOnce) {
  const TemporaryFolder folder;
  const Point straight[] = {{5, 10}, {35, 10}}, broken[] = {{5, 10}, {20, 10}, {20, 10}, {35, 10}};
  Canvas one(40, 20), other(40, 20);
  one.draw_line(straight, 3, {0, 0, 0});
  other.draw_line(broken, 3, {0, 0, 0});
  one.write_png(folder / "one.png");
  other.write_png(folder / "other.png");
  EXPECT_EQ(read_file(folder / "one.png", 1 << 20), read_file(folder / "other.png", 1 << 20));
}

TEST(Canvas, TextIsAsWideAsMeasured) {
  Canvas canvas(200, 40);
  EXPECT_GT(Canvas::text_width("accuracy", 16), 40);
  EXPECT_FLOAT_EQ(canvas.draw_text("accuracy", {10, 30}, 16, {0, 0, 0}), Canvas::text_width("accuracy", 16));
  canvas.draw_text("out of the picture \xff\n", {190, 0}, 30, {0, 0, 0});
}

std::vector<double> epochs(int count) {
  std::vector<double> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 1.0);
  return numbers;
}

TEST(Curves, AreDrawnInTheirColoursQuickly) {
  const TemporaryFolder folder;
  const int n = 200;
  Panel loss{"loss", {{"train", {}}, {"test", {}}}}, accuracy{"accuracy, %", {{"train", {}}, {"test", {}}}};
  for (int i = 0; i < n; ++i) {
    const double t = i / 30.0, wave = std::sin(0.9 * i) * std::exp(-i / 90.0);
    loss.curves[0].values.push_back(0.02 + 4.2 * std::exp(-t));
    loss.curves[1].values.push_back(0.9 + 3.1 * std::exp(-t) + 0.2 * wave);
    accuracy.curves[0].values.push_back(99.9 - 92 * std::exp(-t));
    accuracy.curves[1].values.push_back(78.2 - 72 * std::exp(-t) + 3 * wave);
  }
  const Panel panels[] = {loss, accuracy};
  const auto start = std::chrono::steady_clock::now();
  draw_curves(folder / "curve.png", "resnet18 on cifar100", epochs(n), panels);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  RecordProperty("seconds", std::to_string(seconds.count()));

  const Picture picture(folder / "curve.png");
  EXPECT_EQ(picture.width, 1200);
  EXPECT_EQ(picture.height, 500);
  // Solid inner pixels of the strokes: over 200 columns each in two panels.
  EXPECT_GT(picture.count(0, 115, 179), 400);
  EXPECT_GT(picture.count(230, 102, 0), 400);
}

TEST(Curves, AHigherValueIsHigher) {
  const TemporaryFolder folder;
  const Panel panels[] = {{"loss", {{"train", {0, 1}}}}};
  draw_curves(folder / "curve.png", "", std::vector<double>{1, 2}, panels);
  const Picture picture(folder / "curve.png");
  int lowest_left = 0, highest_right = picture.height;
  for (int y = 130; y < picture.height; ++y)
    for (int x = 0; x < picture.width; ++x)
      if (picture.is(x, y, 0, 115, 179)) {
        if (x < picture.width / 3) lowest_left = std::max(lowest_left, y);
        if (x > picture.width * 2 / 3) highest_right = std::min(highest_right, y);
      }
  EXPECT_GT(lowest_left, highest_right + 200);
}

TEST(Curves, NothingWrongWithFewOrOddValues) {
  const TemporaryFolder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& values : {std::vector<double>{},
                                            {3},
                                            {nan},
                                            {infinity, 1, nan},
                                            {0, 0, 0},
                                            {1e30, -1e30},
                                            {1e-30},
                                            {5e8, 5e8 + 1}}) {
    const Panel panels[] = {{"loss", {{"train", values}}}};
    draw_curves(folder / "curve.png", "odd", epochs(static_cast<int>(values.size())), panels);
    EXPECT_EQ(Picture(folder / "curve.png").width, 1200);
  }
  draw_curves(folder / "curve.png", "no panels", {}, {});
}

TEST(Curves, MoreValuesThanEpochsAreRefused) {
  const TemporaryFolder folder;
  const Panel panels[] = {{"loss", {{"train", {1, 2, 3}}}}};
  EXPECT_THAT([&] { draw_curves(folder / "curve.png", "", epochs(2), panels); },
              ThrowsMessage<Error>(HasSubstr("train has 3 values for 2 epochs")));
}

}  // namespace
}  // namespace tdds
