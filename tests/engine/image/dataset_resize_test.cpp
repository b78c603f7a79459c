#include "engine/image/dataset_resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/engine/image_files.h"

namespace tdds {
namespace {

// The filter by its definition, in double precision: rows first, then columns.
std::vector<double> reference(const std::vector<double>& in, std::size_t inputs, std::size_t stride,
                              std::size_t count, std::size_t outputs) {
  const double scale = static_cast<double>(inputs) / static_cast<double>(outputs),
               radius = std::max(1.0, scale);
  std::vector<double> out(outputs * stride * count);
  for (std::size_t block = 0; block < count; ++block)
    for (std::size_t o = 0; o < outputs; ++o)
      for (std::size_t s = 0; s < stride; ++s) {
        double sum = 0, weights = 0;
        for (std::size_t i = 0; i < inputs; ++i) {
          const double distance = static_cast<double>(i) + 0.5 - (static_cast<double>(o) + 0.5) * scale;
          const double weight = std::max(0.0, 1 - std::abs(distance) / radius);
          sum += weight * in[(block * inputs + i) * stride + s];
          weights += weight;
        }
        out[(block * outputs + o) * stride + s] = sum / weights;
      }
  return out;
}

TEST(DatasetResizeTest, IsTheTriangleFilter) {
  struct Case {
    int width, height, new_width, new_height;
  };
  for (const Case& c :
       {Case{50, 37, 30, 22}, {9, 7, 20, 31}, {1, 1, 5, 4}, {64, 3, 2, 3}, {300, 200, 7, 9}, {5, 5, 5, 5}}) {
    const std::vector<std::uint8_t> pixels = test_pixels(3, c.width, c.height);
    const std::vector<double> exact(pixels.begin(), pixels.end());
    const std::vector<double> rows = reference(exact, c.height, 3 * c.width, 1, c.new_height);
    const std::vector<double> want = reference(rows, c.width, 3, c.new_height, c.new_width);
    const auto got = resize_image(pixels.data(), c.width, c.height, c.new_width, c.new_height);
    ASSERT_EQ(got.size(), want.size());
    // Values are rounded twice to integers, and weights to 14 bits.
    for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1.1) << c.width << " at " << i;
  }
}

TEST(DatasetResizeTest, APlainAreaKeepsItsValue) {
  for (const int value : {0, 1, 127, 255}) {
    const std::vector<std::uint8_t> plain(3 * 41 * 29, static_cast<std::uint8_t>(value));
    for (const std::uint8_t got : resize_image(plain.data(), 41, 29, 17, 53)) ASSERT_EQ(got, value);
  }
}

}  // namespace
}  // namespace tdds
