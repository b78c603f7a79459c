// Every test is listed in tests/CMakeLists.txt; a test that is not listed would never run.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/style/source_files.h"

namespace tdds::test {
namespace {

// "kernels/sgd" for the word `sgd` of tdds_test(kernels ... sgd ...).
std::set<std::string> listed(const std::string& cmake) {
  std::set<std::string> names;
  const std::string call = "tdds_test(";
  for (std::size_t at = cmake.find(call); at != std::string::npos; at = cmake.find(call, at + 1)) {
    std::istringstream words(cmake.substr(at + call.size(), cmake.find(')', at) - at - call.size()));
    std::string folder, word;
    words >> folder;
    while (words >> word) names.insert(std::filesystem::path(folder) / word);
  }
  return names;
}

std::vector<std::string> unlisted(const std::vector<std::string>& tests, const std::string& cmake) {
  const std::string end = "_test.cpp";
  std::vector<std::string> found;
  for (const std::string& test : tests)
    if (test.ends_with(end) && !listed(cmake).contains(test.substr(0, test.size() - end.size())))
      found.push_back("tests/" + test + " is in no tdds_test() of tests/CMakeLists.txt");
  return found;
}

TEST(ListedTest, EveryTestIsListed) {
  std::vector<std::string> tests;
  for (const SourceFile& file : read_sources({"tests"})) tests.push_back(file.path.substr(6));
  ASSERT_GT(tests.size(), 50u);
  std::stringstream cmake;
  cmake << std::ifstream(source_path("tests/CMakeLists.txt")).rdbuf();
  EXPECT_TRUE(unlisted(tests, cmake.str()).empty()) << joined(unlisted(tests, cmake.str()));
}

TEST(ListedTest, ReportsUnlistedTests) {
  const std::string cmake =
      "tdds_test(style tdds_options\n  layers)\ntdds_test(apps tdds::appkit\n  cli/cli)\n";
  EXPECT_TRUE(unlisted({"style/layers_test.cpp", "apps/cli/cli_test.cpp", "paths.cpp"}, cmake).empty());
  EXPECT_EQ(unlisted({"apps/layers_test.cpp", "apps/cli/cli_test.cpp", "style/cli_test.cpp"}, cmake).size(),
            2u);
}

}  // namespace
}  // namespace tdds::test
