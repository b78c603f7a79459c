// Dependencies point one way: kernels <- engine <- {nets, tdds} <- apps. The includes of every source are
// read.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/kernels/source_files.h"

namespace tdds::test {
namespace {

const std::map<std::string, std::set<std::string>>& layers() {
  static const std::map<std::string, std::set<std::string>> kMayInclude = {
      {"kernels", {"kernels"}},
      {"engine", {"kernels", "engine"}},
      {"nets", {"kernels", "engine", "nets"}},
      {"tdds", {"kernels", "engine", "tdds"}},
      {"apps", {"kernels", "engine", "nets", "tdds", "apps"}},
      {"tests", {"kernels", "engine", "nets", "tdds", "apps", "tests"}},
      {"bench", {"kernels", "engine", "nets", "tdds", "apps", "tests", "bench"}},
  };
  return kMayInclude;
}

std::vector<std::string> violations(const std::vector<SourceFile>& sources) {
  std::vector<std::string> found;
  for (const SourceFile& file : sources) {
    const std::set<std::string>& allowed = layers().at(file.path.substr(0, file.path.find('/')));
    for (const Include& include : includes_of(file.text)) {
      const std::size_t slash = include.path.find('/');
      // <vector>, <CLI/CLI.hpp>: another's. An own header stays one in angle brackets, which find it too.
      if (!include.quoted &&
          (slash == std::string::npos || !layers().contains(include.path.substr(0, slash))))
        continue;
      const std::string place = file.path + ":" + std::to_string(include.line) + " includes " + include.path;
      if (slash == std::string::npos || include.path.starts_with("."))
        found.push_back(place + ", which is not a path from the root");
      else if (!allowed.contains(include.path.substr(0, slash)))
        found.push_back(place + ", a layer above or beside");
    }
  }
  return found;
}

TEST(Layers, IncludesPointDown) {
  std::vector<std::string> folders;
  for (const auto& [folder, allowed] : layers()) folders.push_back(folder);
  const std::vector<SourceFile> sources = read_sources(folders);
  ASSERT_GT(sources.size(), 50u);
  EXPECT_TRUE(violations(sources).empty()) << joined(violations(sources));
}

TEST(Layers, AViolationIsReported) {
  EXPECT_TRUE(
      violations({{"engine/a.h", "#include \"kernels/b.h\"\n#include <CLI/CLI.hpp>\n#include <vector>\n"}})
          .empty());
  const auto upward = violations({{"kernels/cpu/a.cpp", "\n#include \"engine/net.h\"\n"}});
  ASSERT_EQ(upward.size(), 1u);
  EXPECT_EQ(upward[0], "kernels/cpu/a.cpp:2 includes engine/net.h, a layer above or beside");
  const auto angled = violations({{"engine/a.h", "#include <kernels/b.h>\n#include <tdds/c.h>\n"}});
  ASSERT_EQ(angled.size(), 1u);
  EXPECT_EQ(angled[0], "engine/a.h:2 includes tdds/c.h, a layer above or beside");
  EXPECT_EQ(violations({{"nets/a.cpp", "#include \"tdds/scores.h\""}}).size(), 1u);
  EXPECT_EQ(violations({{"tdds/a.cpp", "#  include \"nets/resnet.h\""}}).size(), 1u);
  EXPECT_EQ(violations({{"engine/a.cpp", "#include \"apps/flags.h\""}}).size(), 1u);
  EXPECT_EQ(violations({{"apps/a.cpp", "#include \"tests/kernels/op_test.h\""}}).size(), 1u);
  EXPECT_EQ(violations({{"engine/a.cpp", "#include \"arena.h\""}}).size(), 1u);
  EXPECT_EQ(violations({{"engine/a.cpp", "#include \"../kernels/ops.h\""}}).size(), 1u);
}

}  // namespace
}  // namespace tdds::test
