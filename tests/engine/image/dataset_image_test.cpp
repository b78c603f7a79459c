#include "engine/image/dataset_image.h"
#include "engine/image/stb_decoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "tests/engine/image_files.h"
#include "tests/paths.h"

namespace tdds {
namespace {

TEST(DatasetImageTest, LosslessFormatsOfTheRightSizeStayByteForByte) {
  const auto pixels = test_pixels(3, 16, 16);
  EXPECT_EQ(decode_image(png_bytes(pixels, 16, 16), "f", 16), pixels);
  EXPECT_EQ(decode_image(ppm_bytes(pixels, 16, 16), "f", 16), pixels);
}

TEST(DatasetImageTest, GreyIsRepeatedAndTransparencyDropped) {
  const auto grey = test_pixels(1, 8, 8, 1), rgba = test_pixels(2, 8, 8, 4);
  const auto from_grey = decode_image(png_bytes(grey, 8, 8, 1), "f", 8);
  const auto from_rgba = decode_image(png_bytes(rgba, 8, 8, 4), "f", 8);
  for (int i = 0; i < 64; ++i)
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(from_grey[3 * i + c], grey[i]);
      EXPECT_EQ(from_rgba[3 * i + c], rgba[4 * i + c]);
    }
}

TEST(DatasetImageTest, ScalesTheShorterSideAndCutsTheMiddle) {
  // Three vertical thirds, red, green and blue: the middle is green.
  std::vector<std::uint8_t> wide(3 * 96 * 32);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 96; ++x) wide[3 * (96 * y + x) + x / 32] = 200;
  const auto small = decode_image(png_bytes(wide, 96, 32), "f", 16);
  ASSERT_EQ(small.size(), 3u * 16 * 16);
  for (int y = 0; y < 16; ++y)
    for (int x = 2; x < 14; ++x) {
      EXPECT_EQ(small[3 * (16 * y + x) + 1], 200);
      EXPECT_EQ(small[3 * (16 * y + x)], 0);
    }
  const auto large = decode_image(png_bytes(std::vector<std::uint8_t>(3 * 8 * 8, 77), 8, 8), "f", 20);
  for (const std::uint8_t value : large) EXPECT_EQ(value, 77);
}

TEST(DatasetImageTest, JpegPixelsAreClose) {
  std::vector<std::uint8_t> smooth(3 * 32 * 32);
  for (int i = 0; i < 32 * 32; ++i)
    for (int c = 0; c < 3; ++c) smooth[3 * i + c] = static_cast<std::uint8_t>(60 + 3 * (i % 32) + c);
  const auto decoded = decode_image(jpeg_bytes(smooth, 32, 32), "f", 32);
  for (std::size_t i = 0; i < smooth.size(); ++i) EXPECT_LE(std::abs(decoded[i] - smooth[i]), 8) << i;
}

// scripts/make_image_folder.py wrote one picture in each format, and also rotated and in CMYK.
TEST(DatasetImageTest, EveryFormGivesThePicture) {
  const std::string folder = golden_path("images/");
  const auto decode = [&](const std::string& name) {
    return decode_image(read_file(folder + name, 1 << 20), name, 8, /*exif_rotate=*/true);
  };
  const auto farthest = [](const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
    int most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  };
  const auto picture = decode("png.png");
  for (const char* name : {"bmp.bmp", "ppm.ppm", "tga.tga", "rgba.png"})
    EXPECT_EQ(decode(name), picture) << name;
  // Lossy formats: JPEG's chroma has half the resolution, and CMYK is rounded again.
  for (const char* name : {"jpeg.jpg", "progressive.JPEG", "rotated.jpg", "cmyk.jpg", "palette.png"})
    EXPECT_LE(farthest(decode(name), picture), 24) << name;
  std::vector<std::uint8_t> grey;
  for (std::size_t i = 0; i < picture.size(); i += 3)
    grey.insert(grey.end(), 3,
                static_cast<std::uint8_t>(
                    std::lround(0.299 * picture[i] + 0.587 * picture[i + 1] + 0.114 * picture[i + 2])));
  for (const char* name : {"grey.png", "grey16.png"}) EXPECT_LE(farthest(decode(name), grey), 1) << name;
}

void expect_error(const std::string& bytes, const std::string& reason) {
  try {
    decode_image(bytes, "dir/odd name", 16);
    ADD_FAILURE() << "accepted; expected: " << reason;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("dir/odd name"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

TEST(DatasetImageTest, BadFilesAreNamed) {
  const auto pixels = test_pixels(3, 64, 64);
  expect_error("", "is empty");
  expect_error("this is text", "is not a readable image (unknown format)");
  const std::string png = png_bytes(pixels, 64, 64), jpeg = jpeg_bytes(pixels, 64, 64);
  expect_error(png.substr(0, png.size() / 2), "is damaged");
  expect_error(jpeg.substr(0, jpeg.size() / 2), "truncated JPEG");
  expect_error(jpeg.substr(0, jpeg.size() - 1), "truncated JPEG");
  std::string overlong = jpeg;
  overlong.replace(overlong.find("\xff\xc4") + 5, 16, 16, '\x7f');  // counts that sum to 2,032 codes
  expect_error(overlong, "bad Huffman table");
  expect_error("P6\n50000 50000\n255\nxxx", "announces 50000 x 50000 pixels");
}

std::string refusal_for(const char* reason) {
  try {
    refuse_undecoded("dir/a.png", reason);
  } catch (const Error& error) {
    return error.what();
  }
}

// stb_image gives no reason for some files, and an empty one for others.
TEST(DatasetImageTest, EveryErrorOfTheDecoderHasAReason) {
  const std::string none =
      "dir/a.png is damaged (its decoder refuses it without a reason): restore or remove it.";
  EXPECT_EQ(refusal_for(nullptr), none);
  EXPECT_EQ(refusal_for(""), none);
  EXPECT_EQ(refusal_for("bad zlib"), "dir/a.png is damaged (bad zlib): restore or remove it.");
  EXPECT_EQ(refusal_for("outofmem"), "dir/a.png cannot be decoded: there is no memory for it.");
}

// No message about a truncated or changed file has empty parentheses, or the reason of an earlier image.
TEST(DatasetImageTest, NoReasonIsEmptyOrStale) {
  const auto pixels = test_pixels(3, 16, 16);
  for (const std::string& whole :
       {png_bytes(pixels, 16, 16), jpeg_bytes(pixels, 16, 16), "BM" + std::string(60, '\1')}) {
    for (std::size_t at = 0; at < whole.size(); at += 3) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x55);
      for (const std::string& bytes : {whole.substr(0, at), changed}) {
        for (const bool checked : {true, false}) {
          try {
            checked ? void(decode_image(bytes, "x", 16)) : void(stb_decode(bytes, "x"));
          } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()).find("()"), std::string::npos) << error.what();
          }
        }
      }
    }
  }
}

TEST(DatasetImageTest, PgmIsReadAsGrey) {
  const auto grey = test_pixels(5, 8, 8, 1);
  const auto decoded = decode_image("P5\n8 8\n255\n" + std::string(grey.begin(), grey.end()), "x.pgm", 8);
  ASSERT_EQ(decoded.size(), 3 * grey.size());
  for (std::size_t i = 0; i < decoded.size(); ++i) ASSERT_EQ(decoded[i], grey[i / 3]);
}

TEST(DatasetImageTest, NamesAreRecognisedInAnyCase) {
  for (const char* name : {"a.jpg", "b/c.JPEG", "x.y.Png", "q.bmp", "q.PPM", "q.pgm", "q.tga"})
    EXPECT_TRUE(has_image_name(name));
  for (const char* name : {"a", "a.txt", "jpg", "a.jpg.part", "a.gif", "a.png/b"})
    EXPECT_FALSE(has_image_name(name));
}

}  // namespace
}  // namespace tdds
