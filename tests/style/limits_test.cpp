// No line, including comments, is longer than .clang-format's ColumnLimit, and no source is too long.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/style/source_files.h"

namespace tdds::test {
namespace {

constexpr std::size_t kLongestFile = 450;  // files should have up to about 400 lines; this is the hard limit

// The number of characters of UTF-8 text: the bytes that start a character.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::size_t column_limit(const std::string& clang_format) {
  const std::string key = "ColumnLimit: ";
  return std::stoul(clang_format.substr(clang_format.find(key) + key.size()));
}

std::vector<std::string> beyond_limits(const SourceFile& file, std::size_t columns) {
  std::vector<std::string> found;
  std::istringstream lines(file.text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);)
    if (++count; width_of(line) > columns)
      found.push_back(file.path + ":" + std::to_string(count) + " has " + std::to_string(width_of(line)) +
                      " columns, and the limit is " + std::to_string(columns));
  if (count > kLongestFile)
    found.push_back(file.path + " has " + std::to_string(count) + " lines, and the limit is " +
                    std::to_string(kLongestFile) + ": split it");
  return found;
}

TEST(LimitsTest, LinesAndFilesAreWithinLimits) {
  std::stringstream clang_format;
  clang_format << std::ifstream(source_path(".clang-format")).rdbuf();
  const std::size_t columns = column_limit(clang_format.str());
  std::vector<std::string> found;
  for (const SourceFile& file :
       read_sources({"kernels", "engine", "nets", "tdds", "apps", "bench", "python", "tests"}))
    for (const std::string& each : beyond_limits(file, columns)) found.push_back(each);
  EXPECT_TRUE(found.empty()) << joined(found);
}

TEST(LimitsTest, ReportsViolations) {
  EXPECT_EQ(column_limit("Language: Cpp\nColumnLimit: 110\nStandard: c++20\n"), 110u);
  const std::string whole = "// " + std::string(107, 'x') + "\n",
                    signs = "// ±" + std::string(106, 'x') + "\n";
  EXPECT_TRUE(beyond_limits({"a.h", whole + signs}, 110).empty());
  const auto line = beyond_limits({"a.h", "\n// " + std::string(108, 'x') + "\n"}, 110);
  ASSERT_EQ(line.size(), 1u);
  EXPECT_EQ(line[0], "a.h:2 has 111 columns, and the limit is 110");
  EXPECT_TRUE(beyond_limits({"a.cu", std::string(kLongestFile, '\n')}, 110).empty());
  const auto file = beyond_limits({"a.cu", std::string(kLongestFile + 1, '\n')}, 110);
  ASSERT_EQ(file.size(), 1u);
  EXPECT_EQ(file[0], "a.cu has 451 lines, and the limit is 450: split it");
}

}  // namespace
}  // namespace tdds::test
