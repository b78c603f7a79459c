// Reads the reports of ptxas that cmake/keep_ptxas_report.sh keeps beside the objects: no hand-written kernel
// may spill registers or use a stack frame, on any architecture of this build.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct Resources {
  std::string kernel, architecture;
  int stack = -1, spill_stores = -1, spill_loads = -1;

  bool in_registers() const { return stack == 0 && spill_stores == 0 && spill_loads == 0; }
};

std::vector<Resources> parse(const std::string& report) {
  static const std::regex kEntry("Compiling entry function '([^']*)' for '([^']*)'");
  static const std::regex kUse(
      "(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
  std::vector<Resources> all;
  std::istringstream lines(report);
  std::string line;
  bool open = false;  // an entry function whose resources are still to come; device functions have no entry
  while (std::getline(lines, line)) {
    std::smatch match;
    if (std::regex_search(line, match, kEntry)) {
      all.push_back({match[1], match[2]});
      open = true;
    } else if (open && std::regex_search(line, match, kUse)) {
      Resources& last = all.back();
      last.stack = std::stoi(match[1]);
      last.spill_stores = std::stoi(match[2]);
      last.spill_loads = std::stoi(match[3]);
      open = false;
    }
  }
  return all;
}

TEST(KernelResourcesTest, NothingSpills) {
  int reports = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TDDS_CUDA_OBJECT_DIR)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cu.o.ptxas") || path.ends_with("/sort.cu.o.ptxas")) continue;  // sort.cu is CUB's
    ++reports;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::vector<Resources> kernels = parse(text.str());
    EXPECT_FALSE(kernels.empty()) << entry.path();
    for (const Resources& kernel : kernels)
      EXPECT_TRUE(kernel.in_registers())
          << kernel.kernel << " on " << kernel.architecture << ": " << kernel.stack << " bytes of stack, "
          << kernel.spill_stores << " spilled";
  }
  EXPECT_GE(reports, 9);
}

TEST(KernelResourcesTest, ReportsASpill) {
  const auto kernels = parse(
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'clean' for 'sm_90'\n"
      "ptxas info    : Function properties for clean\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 40 registers, used 1 barriers\n"
      "ptxas info    : Compiling entry function 'spilling' for 'sm_100'\n"
      "ptxas info    : Function properties for spilling\n"
      "    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads\n");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_TRUE(kernels[0].in_registers());
  EXPECT_EQ(kernels[1].kernel, "spilling");
  EXPECT_EQ(kernels[1].architecture, "sm_100");
  EXPECT_FALSE(kernels[1].in_registers());
}

}  // namespace
