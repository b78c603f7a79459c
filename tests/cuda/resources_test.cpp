// Reads the reports of ptxas that cmake/keep_ptxas_report.sh keeps beside the objects, for the architectures
// of this build and for sm_86, sm_89 and sm_120: no hand-written kernel may spill registers or use a stack
// frame, and each keeps within its registers and reaches its planned number of blocks per multiprocessor.

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/planning/ptxas_report.h"

namespace tdds {
namespace {

// A launch of a kernel: its threads per block, the registers that a thread may use, the most shared memory
// that a launch adds, and the blocks that a multiprocessor of any architecture must hold.
struct Plan {
  int threads, registers;
  std::size_t shared_bytes;
  int blocks;
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

// What is wrong with a kernel; empty where nothing is.
std::string fault(const KernelResources& kernel) {
  std::ostringstream text;
  if (!kernel.in_registers())
    text << kernel.stack << " bytes of stack, " << kernel.spill_stores << " spilled; ";
  const auto plan = plans().find(plain_name(kernel.symbol));
  if (plan == plans().end()) {
    text << "no plan in this test";
  } else {
    if (kernel.registers > plan->second.registers)
      text << kernel.registers << " registers of " << plan->second.registers << "; ";
    if (const int blocks = resident_blocks(kernel, plan->second.threads, plan->second.shared_bytes);
        blocks < plan->second.blocks)
      text << blocks << " blocks of " << plan->second.blocks << " per multiprocessor";
  }
  return text.str();
}

TEST(KernelResourcesTest, EveryKernelKeepsItsPlanOnEveryArchitecture) {
  std::set<std::string> seen;
  std::set<int> architectures;
  for (const KernelResources& kernel : read_ptxas_reports(TDDS_CUDA_OBJECT_DIR)) {
    EXPECT_EQ(fault(kernel), "") << kernel.symbol << " on sm_" << kernel.sm;
    seen.insert(plain_name(kernel.symbol));
    architectures.insert(kernel.sm);
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
    const std::vector<KernelResources> kernels = parse_ptxas_report(report);
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
}  // namespace tdds
