// A user's own images that are damaged or hostile, and folders that do not fit, through the real programs.

#include "engine/io/crc32.h"
#include "tests/apps/train/folder_run.h"

namespace tdds::test {
namespace {

class BadFolderProgramTest : public FolderTest {};

TEST_F(BadFolderProgramTest, BadImagesAreNamedOrCounted) {
  write_images();
  const std::string bad = data_ + "/train/dog/bad.jpg", jpeg = jpeg_bytes(test_pixels(1, 8, 8), 8, 8);
  put(bad, "");
  expect_bad_image("dog/bad.jpg is empty");
  put(bad, jpeg.substr(0, jpeg.size() - 10));
  expect_bad_image("dog/bad.jpg is a truncated JPEG");
  std::string damaged = jpeg;
  damaged[jpeg.find("\xff\xc0") + 4] = 12;  // bits per sample
  put(bad, damaged);
  expect_bad_image("dog/bad.jpg is a JPEG of 12 bits per value, which is not read");
  fs::remove(bad);
  fs::create_symlink("nowhere", bad);
  expect_bad_image("dog/bad.jpg cannot be read");
  fs::remove(bad);
  put(data_ + "/train/dog/odd 'name' \"\xff\n$(x).png", "no image");
  expect_bad_image("odd 'name' \"\xff $(x).png is not a readable image");
}

TEST_F(BadFolderProgramTest, AnUnreadableFileIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file; the broken link stands for it";
  write_images();
  const std::string bad = data_ + "/train/dog/bad.png";
  put(bad, png(1));
  fs::permissions(bad, fs::perms::none);
  expect_bad_image("dog/bad.png cannot be read");
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int i = 3; i >= 0; --i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// A complete and valid header of a PNG of 15,000 x 15,000 pixels, in 70 bytes.
TEST_F(BadFolderProgramTest, ADecompressionBombIsNotUnpacked) {
  write_images();
  const auto chunk = [](const std::string& body) {
    return big_endian(static_cast<std::uint32_t>(body.size()) - 4) + body +
           big_endian(crc32(body.data(), body.size()));
  };
  using namespace std::string_literals;
  put(data_ + "/train/dog/bomb.png",
      "\x89PNG\r\n\x1a\n"s +
          chunk("IHDR" + big_endian(15'000) + big_endian(15'000) + "\x08\x02\x00\x00\x00"s) +
          chunk("IDATxx") + chunk("IEND"));
  expect_bad_image("dog/bomb.png announces 15000 x 15000 pixels");
}

TEST_F(BadFolderProgramTest, FoldersThatDoNotFitAreNamed) {
  expect_refused(train(), "data/train is not a folder");
  write_images();
  fs::create_directories(data_ + "/train/empty");
  expect_refused(train(), "train/empty holds no image");
  fs::remove(data_ + "/train/empty");
  put(data_ + "/val/emu/1.png", png(1));
  expect_refused(train(), "val has the class folder 'emu' that train lacks");
  fs::remove_all(data_ + "/val/emu");
  fs::remove_all(data_ + "/val/dog");
  expect_refused(train(), "val lacks the class folder 'dog' that train has");
  fs::remove_all(data_ + "/val");
  expect_refused(train(), "neither val/ nor test/");
  EXPECT_EQ(train({"--val_fraction", "0.2"}).exit_code, 0);
  EXPECT_EQ(train({"--val_fraction", "0.2", "--channel_mean", "0.5"}).exit_code, 2);
  EXPECT_EQ(train({"--val_fraction", "0.2", "--image_size", "3"}).exit_code, 2);
}

}  // namespace
}  // namespace tdds::test
