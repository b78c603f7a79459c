#include "engine/data/source_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "kernels/runtime/check.h"
#include "tests/engine/image_files.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int kSize = 8;

TEST(SourceFileTest, AnImageIsDecodedAndStamped) {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> pixels = test_pixels(1, kSize, kSize);
  const std::string bytes = png_bytes(pixels, kSize, kSize);
  test::write_text(folder / "a.png", bytes);
  const DecodedFile decoded = decode_file(folder / "a.png", kSize, false);
  EXPECT_EQ(decoded.pixels, pixels);
  EXPECT_EQ(decoded.status, kDecodedFile);
  EXPECT_EQ(decoded.failure, "");
  EXPECT_EQ(decoded.stamp.content, sha256_of(bytes));
  EXPECT_EQ(decoded.stamp.identity, identity_of(folder / "a.png"));
  EXPECT_TRUE(decoded.stamp.identity.known());
  EXPECT_EQ(decoded.stamp.identity.bytes, bytes.size());
}

TEST(SourceFileTest, AnImageThatEndsEarlyIsDecodedAndMarked) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.jpg", with_half_a_scan(jpeg_bytes(test_pixels(1, 64, 64), 64, 64)));
  const DecodedFile decoded = decode_file(folder / "a.jpg", kSize, false);
  EXPECT_EQ(decoded.pixels.size(), std::size_t{3} * kSize * kSize);
  EXPECT_EQ(decoded.status, kEarlyFile);
  EXPECT_EQ(decoded.failure, "");
}

TEST(SourceFileTest, ABadFileHasZeroPixelsAndItsReason) {
  const TemporaryFolder folder;
  test::write_text(folder / "text.png", "not an image");
  const std::vector<std::uint8_t> zeros(std::size_t{3} * kSize * kSize, 0);
  const DecodedFile text = decode_file(folder / "text.png", kSize, false);
  EXPECT_EQ(text.pixels, zeros);
  EXPECT_EQ(text.status, kBadFile);
  EXPECT_THAT(text.failure, HasSubstr("text.png is not a readable image"));
  EXPECT_EQ(text.stamp.content, sha256_of("not an image"));
  EXPECT_TRUE(text.stamp.identity.known());

  std::filesystem::create_symlink("nothing", folder / "link.png");
  for (const char* name : {"link.png", "absent.png"}) {
    const DecodedFile unread = decode_file(folder / name, kSize, false);
    EXPECT_EQ(unread.pixels, zeros) << name;
    EXPECT_EQ(unread.status, kBadFile) << name;
    EXPECT_THAT(unread.failure, HasSubstr(name));
    EXPECT_EQ(unread.stamp.content, Sha256{}) << name;
    EXPECT_EQ(unread.stamp.identity, FileIdentity{}) << name;
    EXPECT_FALSE(unread.stamp.identity.known()) << name;
  }
  EXPECT_THAT([&] { read_image_file(folder.str()); }, ThrowsMessage<Error>(HasSubstr("not a regular file")));
}

}  // namespace
}  // namespace tdds
