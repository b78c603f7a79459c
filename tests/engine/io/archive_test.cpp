#include "engine/io/archive.h"

#include <gtest/gtest.h>

#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"

namespace tdds {
namespace {

bool everything(const std::string&) {
  return true;
}

TEST(ArchiveTest, ReturnsTheWantedMembers) {
  const TemporaryFolder scratch;
  const std::string path = (scratch.path() / "a.tar.gz").string();
  const std::string large(700'000, 'q');
  write_tar_gz(path, {{"./d/one", "1"}, {"d/large", large}, {"d/empty", ""}, {"other", "x"}});
  const auto members = read_archive(
      path, [](const std::string& name) { return name.starts_with("d/"); }, 1 << 20);
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members.at("d/one"), "1");
  EXPECT_EQ(members.at("d/large"), large);
  EXPECT_EQ(members.at("d/empty"), "");
}

TEST(ArchiveTest, GuardsAgainstLongMembers) {
  const TemporaryFolder scratch;
  const std::string path = (scratch.path() / "a.tar.gz").string();
  write_tar_gz(path, {{"bomb", std::string(100'000, '\0')}});
  EXPECT_EQ(read_archive(path, everything, 100'000).size(), 1u);
  try {
    read_archive(path, everything, 99'999);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("member bomb announces 100000 bytes"), std::string::npos)
        << error.what();
  }
}

TEST(ArchiveTest, DamageAndTruncationAreNamed) {
  const TemporaryFolder scratch;
  const std::string path = (scratch.path() / "a.tar.gz").string();
  std::string noise;
  for (unsigned i = 0, x = 1; i < 50'000; ++i)
    noise += static_cast<char>((x = x * 1664525u + 1013904223u) >> 24);
  write_tar_gz(path, {{"noise", noise}});
  std::string bytes(std::filesystem::file_size(path), '\0');
  std::ifstream(path, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{20}, bytes.size() / 2}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes.substr(0, length);
    try {
      read_archive(path, everything, 1 << 20);
      ADD_FAILURE() << length;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    }
  }
  bytes[12] = static_cast<char>(~bytes[12]);  // in the header of the compressed data
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  EXPECT_THROW(read_archive(path, everything, 1 << 20), Error);
  EXPECT_THROW(read_archive(scratch.str() + "/absent", everything, 1), Error);
}

}  // namespace
}  // namespace tdds
