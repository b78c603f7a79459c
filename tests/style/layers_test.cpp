// Dependencies point one way: kernels <- engine <- {nets, tdds} <- apps, and one way among the folders of
// each. The test reads the includes of every source.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>

#include "tests/style/source_files.h"

namespace tdds::test {
namespace {

using Folders = std::vector<std::string>;

// Each folder with the other folders that its sources may include. A name that ends in a slash stands for all
// folders below it.
const std::map<std::string, Folders>& rules() {
  // The part of kernels that the layers above may use, without the internals of backends.
  static const Folders kKernels{"kernels/numerics", "kernels/runtime", "kernels/ops", "kernels/planning",
                                "kernels/ranks"};
  static const auto with = [](Folders first, const Folders& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
  };
  static const Folders kEngine = with(kKernels, {"engine", "engine/data", "engine/image", "engine/io"});
  static const Folders kTdds =
      with(kEngine, {"tdds/dynamics", "tdds/methods", "tdds/selection", "tdds/statistics"});
  static const Folders kApps = with(kTdds, {"nets", "apps/cli"});
  static const Folders kOps{"kernels/numerics", "kernels/runtime", "kernels/ops"};
  static const std::map<std::string, Folders> kMayInclude = {
      {"kernels/numerics", {}},
      {"kernels/runtime", {"kernels/numerics"}},
      {"kernels/ops", {"kernels/numerics", "kernels/runtime"}},
      {"kernels/planning", kOps},
      {"kernels/cpu", kOps},
      {"kernels/cpu/conv", with(kOps, {"kernels/cpu"})},
      {"kernels/simt", kOps},
      {"kernels/cuda", kOps},
      {"kernels/cuda/absent", {"kernels/cuda"}},
      {"kernels/gpu", with(kOps, {"kernels/simt", "kernels/cuda"})},
      {"kernels/ranks", {"kernels/numerics", "kernels/runtime"}},
      {"kernels/cuda/nccl", {"kernels/cuda", "kernels/ranks", "kernels/runtime"}},
      {"kernels/cuda/cublas", with(kOps, {"kernels/gpu", "kernels/cuda"})},
      {"kernels/cuda/cudnn", with(kOps, {"kernels/cuda", "kernels/cuda/cublas"})},
      {"kernels/backends", {"kernels/"}},
      {"engine/io", kKernels},
      {"engine/image", with(kKernels, {"engine/io"})},
      {"engine/data", with(kKernels, {"engine/io", "engine/image"})},
      {"engine", kEngine},
      {"nets", kEngine},
      {"tdds/dynamics", kEngine},
      {"tdds/methods", with(kEngine, {"tdds/dynamics", "tdds/statistics"})},
      {"tdds/selection", with(kEngine, {"tdds/dynamics", "tdds/methods", "tdds/statistics"})},
      {"tdds/statistics", kEngine},
      {"apps/cli", kTdds},
      {"apps/score", kApps},
      {"apps/train", with(kApps, {"apps/score"})},
      {"apps/sweep", with(kApps, {"apps/score", "apps/train"})},
      {"apps/report", with(kApps, {"apps/score", "apps/train", "apps/sweep"})},
      {"python/src", with(kTdds, {"apps/score"})},
      {"bench", with(kEngine, {"nets", "tdds/methods", "apps/cli", "kernels/gpu", "tests/"})},
      {"tests", {"kernels/", "engine/", "nets", "tdds/", "apps/", "tests/"}},
  };
  return kMayInclude;
}

const std::set<std::string>& layers() {
  static const std::set<std::string> kLayers{"kernels", "engine", "nets",  "tdds",
                                             "apps",    "tests",  "bench", "python"};
  return kLayers;
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// The folder whose rule applies to a source. All of tests/ has one rule.
std::string rule_name(const std::string& path) {
  return path.starts_with("tests/") ? "tests" : folder_of(path);
}

bool may_include(const Folders& allowed, const std::string& folder) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& one) {
    return one.ends_with('/') ? (folder + "/").starts_with(one) : folder == one;
  });
}

// Headers that the build generates.
bool is_generated(const std::string& path) {
  return path == "apps/version.h";
}

std::vector<std::string> violations(const std::vector<SourceFile>& sources) {
  std::vector<std::string> found;
  for (const SourceFile& file : sources) {
    const std::string rule = rule_name(file.path);
    if (!rules().contains(rule)) {
      found.push_back(file.path + " is in a folder that has no rule");
      continue;
    }
    const Folders& allowed = rules().at(rule);
    for (const Include& include : includes_of(file.text)) {
      const std::size_t slash = include.path.find('/');
      // <vector>, <CLI/CLI.hpp>: third-party headers. The project's own headers are checked in angle brackets
      // too.
      if (!include.quoted &&
          (slash == std::string::npos || !layers().contains(include.path.substr(0, slash))))
        continue;
      const std::string place = file.path + ":" + std::to_string(include.line) + " includes " + include.path;
      if (slash == std::string::npos || include.path.starts_with("."))
        found.push_back(place + ", which is not a path from the root");
      else if (!is_generated(include.path) && rule_name(include.path) != rule &&
               !may_include(allowed, folder_of(include.path)))
        found.push_back(place + ", a folder above or beside");
    }
  }
  return found;
}

// Lines below apps in which a string names a flag. There a setting is written in backticks
// (apps/cli/flags.h).
std::vector<std::string> named_flags(const std::vector<SourceFile>& sources) {
  std::vector<std::string> found;
  for (const SourceFile& file : sources) {
    std::istringstream text(file.text);
    int number = 0;
    for (std::string line; std::getline(text, line);) {
      ++number;
      const std::size_t quote = line.find('"'), comment = line.find("//");
      if (quote == std::string::npos || comment < quote) continue;
      for (std::size_t at = line.find("--", quote); at < line.rfind('"'); at = line.find("--", at + 1))
        if (line.find_first_of("\" ('", at - 1) == at - 1 && std::islower(line[at + 2]))
          found.push_back(file.path + ":" + std::to_string(number) + line.substr(at));
    }
  }
  return found;
}

TEST(LayersTest, OnlyProgramsNameFlags) {
  const std::vector<std::string> found = named_flags(read_sources({"kernels", "engine", "nets", "tdds"}));
  EXPECT_TRUE(found.empty()) << joined(found);
  EXPECT_EQ(named_flags({{"engine/a.cpp", "\nthrow Error(\"give --epochs, or (--width)\");"}}).size(), 2u);
  EXPECT_EQ(named_flags({{"engine/a.cpp", "// \"--epochs\"\nf(\"a -- b\"); --depth;"}}).size(), 0u);
}

TEST(LayersTest, IncludesPointDown) {
  const std::vector<SourceFile> sources = read_sources({layers().begin(), layers().end()});
  ASSERT_GT(sources.size(), 50u);
  EXPECT_TRUE(violations(sources).empty()) << joined(violations(sources));
}

// The violations reported for a source in `folder` that includes `header`.
std::vector<std::string> including(const std::string& folder, const std::string& header) {
  return violations({{folder + "/a.cpp", "\n#include \"" + header + "\"\n"}});
}

TEST(LayersTest, ReportsViolations) {
  EXPECT_TRUE(violations({{"engine/a.h",
                           "#include \"kernels/ops/b.h\"\n#include <CLI/CLI.hpp>\n#include <vector>\n"}})
                  .empty());
  const auto upward = including("kernels/cpu", "engine/net.h");
  ASSERT_EQ(upward.size(), 1u);
  EXPECT_EQ(upward[0], "kernels/cpu/a.cpp:2 includes engine/net.h, a folder above or beside");
  const auto angled =
      violations({{"engine/a.h", "#include <kernels/ops/b.h>\n#include <tdds/methods/c.h>\n"}});
  ASSERT_EQ(angled.size(), 1u);
  EXPECT_EQ(angled[0], "engine/a.h:2 includes tdds/methods/c.h, a folder above or beside");
  EXPECT_EQ(violations({{"tdds/methods/a.cpp", "#  include \"nets/resnet.h\""}}).size(), 1u);
  EXPECT_EQ(including("apps/cli", "tests/kernels/op_test.h").size(), 1u);
  EXPECT_EQ(including("engine", "arena.h").size(), 1u);
  EXPECT_EQ(including("engine", "../kernels/ops/ops.h").size(), 1u);
  EXPECT_EQ(including("engine/new_folder", "engine/net.h").size(), 1u);
}

// For each folder, one include that points upwards or into a backend.
TEST(LayersTest, ReportsUpwardIncludesOfEachFolder) {
  const std::map<std::string, std::string> upward{{"kernels/numerics", "kernels/runtime/check.h"},
                                                  {"kernels/runtime", "kernels/ops/ops.h"},
                                                  {"kernels/ops", "kernels/cpu/storage.h"},
                                                  {"kernels/planning", "kernels/backends/backend.h"},
                                                  {"kernels/cpu", "kernels/cpu/conv/conv2d_pass.h"},
                                                  {"kernels/cpu/conv", "kernels/backends/backend.h"},
                                                  {"kernels/simt", "kernels/gpu/gpu.h"},
                                                  {"kernels/cuda", "kernels/cuda/cudnn/conv_plans.h"},
                                                  {"kernels/cuda/absent", "kernels/gpu/gpu.h"},
                                                  {"kernels/gpu", "kernels/cuda/cublas/linear.h"},
                                                  {"kernels/ranks", "kernels/ops/ops.h"},
                                                  {"kernels/cuda/nccl", "kernels/cuda/cudnn/conv_plans.h"},
                                                  {"kernels/cuda/cublas", "kernels/cuda/cudnn/conv_plans.h"},
                                                  {"kernels/cuda/cudnn", "kernels/backends/backend.h"},
                                                  {"kernels/backends", "engine/net.h"},
                                                  {"engine/io", "engine/data/dataset.h"},
                                                  {"engine/image", "engine/data/dataset.h"},
                                                  {"engine/data", "engine/net.h"},
                                                  {"engine", "kernels/cpu/storage.h"},
                                                  {"nets", "tdds/methods/scorer.h"},
                                                  {"tdds/dynamics", "tdds/methods/scorer.h"},
                                                  {"tdds/methods", "tdds/selection/selection.h"},
                                                  {"tdds/selection", "apps/cli/cli.h"},
                                                  {"tdds/statistics", "tdds/methods/scorer.h"},
                                                  {"apps/cli", "apps/score/score_run.h"},
                                                  {"apps/score", "apps/train/run_folder.h"},
                                                  {"apps/train", "apps/sweep/sweep_run.h"},
                                                  {"apps/sweep", "apps/report/page.h"},
                                                  {"apps/report", "kernels/simt/executor.h"},
                                                  {"python/src", "apps/train/run_folder.h"},
                                                  {"bench", "kernels/cpu/storage.h"}};
  for (const auto& [folder, allowed] : rules()) {
    if (folder == "tests") continue;
    ASSERT_TRUE(upward.contains(folder)) << folder;
    EXPECT_EQ(including(folder, upward.at(folder)).size(), 1u) << folder;
  }
}

}  // namespace
}  // namespace tdds::test
