// Reads the reports of ptxas that cmake/keep_ptxas_report.sh keeps beside the objects, for the architectures
// of this build and for sm_86, sm_89 and sm_120: no hand-written kernel may spill registers or use a stack
// frame, and each keeps within its registers and reaches its planned number of blocks per multiprocessor.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct Resources {
  std::string kernel;  // mangled
  int sm = 0, stack = -1, spill_stores = -1, spill_loads = -1, registers = -1, shared_bytes = 0;

  bool in_registers() const { return stack == 0 && spill_stores == 0 && spill_loads == 0; }
};

std::vector<Resources> parse(const std::string& report) {
  static const std::regex kEntry("Compiling entry function '([^']*)' for 'sm_(\\d+)'");
  static const std::regex kSpills(
      "(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
  static const std::regex kUsed("Used (\\d+) registers");
  static const std::regex kShared("(\\d+) bytes smem");
  std::vector<Resources> all;
  std::istringstream lines(report);
  std::string line;
  while (std::getline(lines, line)) {
    std::smatch match;
    if (std::regex_search(line, match, kEntry)) {
      all.push_back({match[1], std::stoi(match[2])});
      continue;
    }
    if (all.empty() || all.back().registers >= 0) continue;  // of a device function, which has no entry
    Resources& last = all.back();
    if (last.stack < 0 && std::regex_search(line, match, kSpills)) {
      last.stack = std::stoi(match[1]);
      last.spill_stores = std::stoi(match[2]);
      last.spill_loads = std::stoi(match[3]);
    } else if (std::regex_search(line, match, kUsed)) {
      last.registers = std::stoi(match[1]);
      if (std::regex_search(line, match, kShared)) last.shared_bytes = std::stoi(match[1]);
    }
  }
  return all;
}

// A launch of a kernel: its threads per block, the registers that a thread may use, the most shared memory
// that a launch adds, and the blocks that a multiprocessor of any architecture must hold.
struct Plan {
  int threads, registers, shared_bytes, blocks;
};
const std::map<std::string, Plan>& plans() {
  // 1,536 threads, the fewest that a multiprocessor holds, are 6 blocks of 256.
  static const std::map<std::string, Plan> kPlans{
      {"accumulate_kernel", {256, 32, 0, 6}},
      {"add_bias_kernel", {256, 32, 0, 6}},
      {"advance_kernel", {256, 32, 0, 1}},
      {"augment_kernel", {128, 40, 0, 12}},
      {"batch_weight_kernel", {256, 32, 0, 1}},
      {"bias_gradient_kernel", {256, 40, 0, 6}},
      {"check_finite_kernel", {256, 40, 0, 6}},
      {"feature_norm_kernel", {128, 40, 0, 12}},
      {"head_backward_kernel", {256, 56, 8 << 10, 4}},
      {"head_forward_kernel", {256, 128, 0, 2}},
      {"inference_kernel", {256, 80, 0, 3}},
      {"map_kernel", {256, 32, 0, 6}},
      {"max_pool_backward_kernel", {128, 48, 0, 10}},
      {"max_pool_kernel", {128, 48, 0, 10}},
      {"moments_kernel", {256, 80, 19 << 10, 3}},
      {"pool_backward_kernel", {128, 32, 0, 12}},
      {"pool_kernel", {128, 56, 0, 9}},
      {"sgd_kernel", {256, 40, 0, 6}},
      {"softmax_kl_kernel", {128, 48, 0, 10}},
      {"sums_kernel", {256, 80, 19 << 10, 3}},
      {"window_score_kernel", {128, 40, 0, 12}},
      // The application of batch normalisation: backward has two operands more.
      {"apply_kernel", {256, 104, 4 << 10, 2}},
  };
  return kPlans;
}

// The name of a kernel within its mangled name, where its length precedes it; empty where no plan has it.
std::string plain_name(const std::string& mangled) {
  for (const auto& [name, plan] : plans())
    if (mangled.find(std::to_string(name.size()) + name) != std::string::npos) return name;
  return "";
}

// The blocks that a multiprocessor holds at a time (CUDA C++ Programming Guide, compute capabilities).
int resident_blocks(const Resources& kernel, const Plan& plan) {
  const bool small = kernel.sm == 86 || kernel.sm == 89 || kernel.sm == 120;
  const int threads = small ? 1536 : 2048;
  const int shared_bytes = (small ? 100 : kernel.sm == 80 ? 164 : 228) << 10;
  constexpr int kRegisters = 64 << 10, kRegisterUnit = 8, kReservedShared = 1 << 10;
  const int registers = (kernel.registers + kRegisterUnit - 1) / kRegisterUnit * kRegisterUnit;
  return std::min({threads / plan.threads, kRegisters / (registers * plan.threads),
                   shared_bytes / (kernel.shared_bytes + plan.shared_bytes + kReservedShared)});
}

// What is wrong with a kernel; empty where nothing is.
std::string fault(const Resources& kernel) {
  std::ostringstream text;
  if (!kernel.in_registers())
    text << kernel.stack << " bytes of stack, " << kernel.spill_stores << " spilled; ";
  const auto plan = plans().find(plain_name(kernel.kernel));
  if (plan == plans().end()) {
    text << "no plan in this test";
  } else {
    if (kernel.registers > plan->second.registers)
      text << kernel.registers << " registers of " << plan->second.registers << "; ";
    if (const int blocks = resident_blocks(kernel, plan->second); blocks < plan->second.blocks)
      text << blocks << " blocks of " << plan->second.blocks << " per multiprocessor";
  }
  return text.str();
}

TEST(KernelResourcesTest, EveryKernelKeepsItsPlanOnEveryArchitecture) {
  std::set<std::string> seen;
  std::set<int> architectures;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TDDS_CUDA_OBJECT_DIR)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cu.o.ptxas") || path.ends_with("/sort.cu.o.ptxas")) continue;  // sort.cu is CUB's
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::vector<Resources> kernels = parse(text.str());
    EXPECT_FALSE(kernels.empty()) << entry.path();
    for (const Resources& kernel : kernels) {
      EXPECT_EQ(fault(kernel), "") << kernel.kernel << " on sm_" << kernel.sm;
      seen.insert(plain_name(kernel.kernel));
      architectures.insert(kernel.sm);
    }
  }
  for (const auto& [name, plan] : plans()) EXPECT_TRUE(seen.contains(name)) << name << " was not found";
  for (int sm : {86, 89, 120}) EXPECT_TRUE(architectures.contains(sm)) << "sm_" << sm;
}

std::string report_of(const std::string& kernel, const std::string& stack, const std::string& used) {
  return "ptxas info    : 0 bytes gmem\nptxas info    : Compiling entry function '" + kernel +
         "' for 'sm_86'\nptxas info    : Function properties for " + kernel + "\n    " + stack +
         "\nptxas info    : " + used + "\n";
}

TEST(KernelResourcesTest, ReportsEachFault) {
  const std::string clean = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
  const auto fault_of = [](const std::string& report) {
    const std::vector<Resources> kernels = parse(report);
    return kernels.size() == 1 ? fault(kernels[0]) : std::to_string(kernels.size()) + " kernels";
  };
  const std::string name = "_ZN4tdds4cuda14moments_kernelIfLi4EEEvPKT_";
  EXPECT_EQ(fault_of(report_of(name, clean, "Used 80 registers, used 1 barriers, 128 bytes smem")), "");
  EXPECT_EQ(fault_of(report_of(name, "8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads",
                               "Used 80 registers")),
            "8 bytes of stack, 4 spilled; ");
  EXPECT_EQ(fault_of(report_of(name, clean, "Used 96 registers")),
            "96 registers of 80; 2 blocks of 3 per multiprocessor");
  EXPECT_EQ(fault_of(report_of(name, clean, "Used 80 registers, 20480 bytes smem")),
            "2 blocks of 3 per multiprocessor");
  EXPECT_EQ(fault_of(report_of("_Z11new_kernelv", clean, "Used 8 registers")), "no plan in this test");
}

}  // namespace
