#include "engine/io/mapped_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/temporary_folder.h"

namespace tdds {
namespace {

// The bytes of a file's mappings that are in this process's memory.
std::size_t resident_bytes(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  std::size_t bytes = 0;
  bool of_file = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) of_file = line.ends_with(path);
    if (of_file && line.starts_with("Rss:")) bytes += std::stoul(line.substr(4)) * 1024;
  }
  return bytes;
}

TEST(MappedFileTest, ReleasedPagesLeaveTheMemoryAndComeBack) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::string bytes(64 * page, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  const test::TemporaryFolder folder;
  test::write_text(folder / "file", bytes);
  const MappedFile file(folder / "file");
  const auto holds_all = [&] {
    return bytes == std::string_view(reinterpret_cast<const char*>(file.data()), file.bytes());
  };
  ASSERT_TRUE(holds_all());
  if (resident_bytes(folder / "file") != bytes.size())
    GTEST_SKIP() << "this system does not say what is resident";
  // Every page that the range touches.
  file.release_pages(20 * page + 100, 8 * page);
  EXPECT_EQ(resident_bytes(folder / "file"), (64 - 9) * page);
  EXPECT_TRUE(holds_all());
}

}  // namespace
}  // namespace tdds
