// Damaged files of every form of every format are refused by name, or decoded to pixels that do not depend
// on uninitialised memory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/image/dataset_image.h"
#include "kernels/runtime/check.h"
#include "tests/engine/image_files.h"
#include "tests/engine/image_forms.h"

namespace tdds {
namespace {

using Pixels = std::optional<std::vector<std::uint8_t>>;

// Imitates the values that an earlier call leaves on the stack.
[[gnu::noinline]] void fill_stack(int value) {
  volatile char left[64 << 10];
  for (volatile char& byte : left) byte = static_cast<char>(value);
}

// Returns nullopt if the file is refused, which must be by name. `filling` is the value of unset memory.
Pixels decode(const std::string& bytes, int filling = 0, bool* ends_early = nullptr) {
  mallopt(M_PERTURB, filling);
  fill_stack(filling);
  Pixels pixels;
  try {
    pixels = decode_image(bytes, "some file", kFormSide, /*exif_rotate=*/false, ends_early);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("some file"), std::string::npos) << error.what();
  }
  mallopt(M_PERTURB, 0);
  return pixels;
}

void expect_refused_or_alike(const std::string& bytes, const std::string& what) {
  const Pixels first = decode(bytes, 0x55);
  EXPECT_EQ(first, decode(bytes, 0xAA)) << what;
}

std::size_t header_bytes(const std::string& name, const std::string& bytes) {
  if (is_form_of(name, "png")) return 33;
  if (is_form_of(name, "tga")) return 18;
  if (is_form_of(name, "bmp")) return static_cast<unsigned char>(bytes[10]);
  if (is_form_of(name, "jpg")) return bytes.find("\xff\xda");
  std::size_t lines = 0, at = 0;
  while (lines < 4) lines += bytes[at++] == '\n' ? 1 : 0;
  return at;
}

TEST(ImageDamageTest, TruncatedFilesAreRefused) {
  for (const auto& [name, form] : image_forms()) {
    const std::string& whole = form.bytes;
    EXPECT_FALSE(decode(whole.substr(0, header_bytes(name, whole)))) << name << ", header only";
    EXPECT_FALSE(decode(whole.substr(0, whole.size() * 55 / 100))) << name << ", 55 %";
    EXPECT_FALSE(decode(whole.substr(0, whole.size() - 1))) << name << ", last byte missing";
    for (std::size_t length = 1; length < whole.size(); length += 1 + length / 16)
      EXPECT_FALSE(decode(whole.substr(0, length))) << name << ", " << length << " bytes";
  }
}

TEST(ImageDamageTest, AnyFlippedBitOfAPngIsRefused) {
  for (const auto& [name, form] : image_forms()) {
    if (!is_form_of(name, "png")) continue;
    std::string bytes = form.bytes;
    const bool is_small = bytes.size() < 200;
    for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += is_small ? 1 : 7) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
      EXPECT_FALSE(decode(bytes)) << name << ", bit " << bit;
      bytes[bit / 8] = form.bytes[bit / 8];
    }
  }
}

TEST(ImageDamageTest, AFlippedBitOfOthersIsRefusedOrDecodedAlike) {
  for (const auto& [name, form] : image_forms()) {
    if (is_form_of(name, "png")) continue;
    std::string bytes = form.bytes;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << (at * 5 + at / 8) % 8);
      expect_refused_or_alike(bytes, name + ", byte " + std::to_string(at));
      bytes[at] = form.bytes[at];
    }
  }
}

TEST(ImageDamageTest, DataAfterTheImageAreIgnoredOrRefusedByFormat) {
  for (const auto& [name, form] : image_forms()) {
    const bool ignored = is_form_of(name, "png") || is_form_of(name, "bmp") || is_form_of(name, "jpg");
    const Pixels whole = decode(form.bytes);
    for (const std::string& more :
         {std::string(1, '\0'), std::string("\xff\xd9 preview"), std::string(999, 'x')})
      EXPECT_EQ(decode(form.bytes + more), ignored ? whole : Pixels()) << name;
    if (is_form_of(name, "ppm") || is_form_of(name, "pgm")) {
      EXPECT_EQ(decode(form.bytes + "\r\n"), whole) << name;
    }
  }
}

TEST(ImageDamageTest, AScanThatEndsEarlyIsAcceptedAndReported) {
  for (const auto& [name, form] : image_forms()) {
    if (!is_form_of(name, "jpg")) continue;
    bool early = true;
    EXPECT_TRUE(decode(form.bytes, 0, &early)) << name;
    EXPECT_FALSE(early) << name;
    const std::string half = with_half_a_scan(form.bytes);
    const Pixels first = decode(half, 0x55, &early);
    EXPECT_TRUE(first) << name;
    EXPECT_TRUE(early) << name;
    EXPECT_EQ(first, decode(half, 0xAA)) << name;
  }
}

TEST(ImageDamageTest, ThePresentPartOfAScanThatEndsEarlyIsRight) {
  const std::string whole = jpeg_bytes(test_pixels(5, 96, 96), 96, 96);
  const auto right = decode_image(whole, "f", 96);
  const auto half = decode_image(with_half_a_scan(whole), "f", 96);
  // The first fifth of the units, and the last row, which has one colour.
  EXPECT_TRUE(std::equal(half.begin(), half.begin() + 3 * 96 * 16, right.begin()));
  EXPECT_TRUE(std::equal(half.end() - 3 * 95, half.end(), half.end() - 3 * 96));
}

// A field at one past its range is refused for itself. Numbers of tables index arrays.
TEST(ImageDamageTest, JpegFieldsOutOfRangeAreRefused) {
  const std::string baseline = image_forms().at("ycc444.jpg").bytes,
                    progressive = image_forms().at("ycc444_progressive.jpg").bytes;
  const auto expect = [](std::string bytes, const char* marker, std::size_t at, int value,
                         const char* words) {
    bytes[bytes.find(marker) + at] = static_cast<char>(value);
    EXPECT_THAT([&] { decode_image(bytes, "f", kFormSide); },
                testing::ThrowsMessage<Error>(testing::HasSubstr(words)))
        << "byte " << at << " set to " << value;
  };
  const char *scan = "\xff\xda", *frame = "\xff\xc0", *table = "\xff\xc4";
  for (const int components : {0, 2, 4}) expect(baseline, scan, 4, components, "(a scan's header)");
  expect(baseline, scan, 5, 9, "(a scan's header)");  // a component's id
  for (const int tables : {0x40, 0x04}) expect(baseline, scan, 6, tables, "(a scan's header)");
  for (const int factors : {0x01, 0x10, 0x51, 0x15}) expect(baseline, frame, 11, factors, "(its header)");
  for (const int components : {0, 2, 4}) expect(baseline, frame, 9, components, "(its header)");
  for (const int number : {0x20, 0x04}) expect(baseline, table, 4, number, "(bad Huffman table)");

  // From the first coefficient to the last: 0 to 0 in a scan of several components.
  for (const std::size_t at : {11, 12}) expect(progressive, scan, at, 1, "(a scan's header)");
  std::string one = progressive.substr(progressive.find(scan, progressive.find(scan) + 2));
  ASSERT_EQ(one[4], 1);  // the second scan
  const std::string before = progressive.substr(0, progressive.size() - one.size());
  const auto expect_of_one = [&](int first, int last) {
    one[7] = static_cast<char>(first);
    one[8] = static_cast<char>(last);
    EXPECT_THAT([&] { decode_image(before + one, "f", kFormSide); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("(a scan's header)")))
        << first << " to " << last;
  };
  expect_of_one(1, 64);
  expect_of_one(6, 5);
  expect_of_one(0, 5);
}

TEST(ImageDamageTest, AFormatThatIsNotReadIsNamed) {
  using namespace std::string_literals;
  const std::pair<const char*, std::string> others[] = {{"GIF", "GIF89a"s},
                                                        {"PSD", "8BPS\0\1"s},
                                                        {"HDR (Radiance)", "#?RADIANCE\n"s},
                                                        {"WebP", "RIFFxxxxWEBP"s},
                                                        {"PIC (Softimage)", "\x53\x80\xf6\x34"s},
                                                        {"TIFF", "II*\0"s},
                                                        {"TIFF", "MM\0*"s},
                                                        {"PNM", "P3\n2 2\n255\n"s},
                                                        {"PNM", "P4\n2 2\n"s}};
  for (const auto& [format, start] : others) {
    try {
      decode_image(start + std::string(500, '\1'), "photo.png", 8);
      ADD_FAILURE() << format << " was read";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("photo.png is a "s + format), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace tdds
