#include "engine/image/exif.h"

#include <gtest/gtest.h>

#include <string>

namespace tdds {
namespace {

using namespace std::string_literals;

std::string number(std::uint32_t value, int bytes, bool little) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * (little ? i : bytes - 1 - i));
  return text;
}

// The beginning of a JPEG: a JFIF segment, then EXIF data with one entry before the orientation.
std::string jpeg_with(int orientation, bool little) {
  const auto n = [&](std::uint32_t value, int bytes) { return number(value, bytes, little); };
  const std::string entry_before = n(0x010F, 2) + n(2, 2) + n(4, 4) + "abc\0"s;
  const std::string entry =
      n(0x0112, 2) + n(3, 2) + n(1, 4) + n(static_cast<std::uint32_t>(orientation), 2) + n(0, 2);
  const std::string exif =
      "Exif\0\0"s + (little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(2, 2) + entry_before + entry;
  return "\xff\xd8"s + "\xff\xe0"s + number(4, 2, false) + "JF" + "\xff\xe1"s +
         number(static_cast<std::uint32_t>(exif.size()) + 2, 2, false) + exif + "\xff\xda"s;
}

TEST(ExifTest, ReadsTheOrientationInBothByteOrders) {
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool little : {false, true})
      EXPECT_EQ(exif_orientation(jpeg_with(orientation, little)), orientation);
  EXPECT_EQ(exif_orientation(jpeg_with(9, true)), 1);
  EXPECT_EQ(exif_orientation("\x89PNG"), 1);
}

// EXIF data without an orientation, or with one that is not a 16-bit number.
TEST(ExifTest, WithoutAnOrientationAPictureIsUpright) {
  const std::string tag = "\x12\x01\x03"s;
  for (const std::string& other : {"\x13\x01\x03"s, "\x12\x02\x03"s, "\x12\x01\x04"s}) {
    std::string jpeg = jpeg_with(6, true);
    jpeg.replace(jpeg.find(tag), tag.size(), other);
    EXPECT_EQ(exif_orientation(jpeg), 1);
  }
}

TEST(ExifTest, StaysInBoundsOfTruncatedOrDamagedData) {
  const std::string whole = jpeg_with(6, true);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string copy =
        whole.substr(0, length);  // its own memory, so that sanitizers detect reads past it
    EXPECT_LE(exif_orientation(copy), 8) << length;
  }
  for (std::size_t at = 2; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = '\xff';
    EXPECT_LE(exif_orientation(damaged), 8) << at;
  }
}

// A picture of 3 x 2, numbered row by row, and its stored pixels for each orientation.
TEST(ExifTest, EveryOrientationIsTurnedUpright) {
  const std::string upright = "123456";  // 123 / 456
  const std::pair<int, std::string> stored[] = {{1, "123456"}, {2, "321654"}, {3, "654321"}, {4, "456123"},
                                                {5, "142536"}, {6, "362514"}, {7, "635241"}, {8, "415263"}};
  for (const auto& [orientation, grey] : stored) {
    std::string pixels;
    for (const char c : grey) pixels.append(3, c);
    int width = orientation < 5 ? 3 : 2, height = orientation < 5 ? 2 : 3;
    const auto turned =
        turn_upright(reinterpret_cast<const std::uint8_t*>(pixels.data()), width, height, orientation);
    EXPECT_EQ(width, 3);
    EXPECT_EQ(height, 2);
    for (std::size_t i = 0; i < upright.size(); ++i)
      EXPECT_EQ(turned[3 * i], static_cast<std::uint8_t>(upright[i])) << orientation << " at " << i;
  }
}

}  // namespace
}  // namespace tdds
