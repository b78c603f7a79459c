#include "engine/io/hash.h"

#include <gtest/gtest.h>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

std::string digest(HashKind kind, const std::string& text) {
  Hash hash(kind);
  hash.add(text.data(), text.size());
  return hash.hex();
}

// FIPS 180-4 and RFC 1321 examples.
TEST(HashTest, GivesThePublishedDigests) {
  EXPECT_EQ(digest(HashKind::kSha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest(HashKind::kSha256, ""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest(HashKind::kMd5, "message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(HashTest, OfPartsIsTheHashOfTheWhole) {
  Hash hash(HashKind::kSha256);
  hash.add("a", 1);
  hash.add("bc", 2);
  EXPECT_EQ(hash.hex(), digest(HashKind::kSha256, "abc"));
}

TEST(HashTest, OfAFileIsThatOfItsBytes) {
  const test::TemporaryFolder folder;
  const std::string text(200'000, 'x');
  test::write_text(folder / "file", text);
  EXPECT_EQ(hash_file(HashKind::kMd5, folder / "file"), digest(HashKind::kMd5, text));
  EXPECT_THROW(hash_file(HashKind::kMd5, folder / "none"), Error);
}

}  // namespace
}  // namespace tdds
