// Reads the reports of ptxas that cmake/keep_ptxas_report.sh keeps beside the objects, for the architectures
// of this build and for sm_86, sm_89 and sm_120: no hand-written kernel may spill registers or use a stack
// frame, and each keeps within its registers and reaches its planned number of blocks per multiprocessor.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/planning/ptxas_report.h"
#include "tests/cuda/conv3x3_variants.h"

namespace tdds {
namespace {

using test::conv3x3_variant;
using test::Conv3x3Variant;

// A launch of a kernel: its threads per block, the registers that a thread may use, the most shared memory
// that a launch adds, and the blocks that a multiprocessor must hold, for all but the convolutions on every
// architecture.
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
      {"merge_kernel", {256, 40, 2 << 10, 6}},
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

// The convolutions of the stages of ResNet-18 on CIFAR. What a multiprocessor holds follows from its shared
// memory and, where there is enough of it, from the registers.
struct StagePlan {
  int width;
  std::int32_t channels;
  Conv3x3Tile tile;
  int small, sm_80, large;  // blocks with 100 KB (sm_86, sm_89, sm_120), 164 KB and 228 KB
};
constexpr StagePlan kStages[] = {
    {32, 64, Conv3x3Tile::k256x64, 1, 2, 2},  {32, 64, Conv3x3Tile::k128x64, 1, 2, 2},
    {16, 128, Conv3x3Tile::k256x64, 1, 1, 2}, {16, 128, Conv3x3Tile::k128x128, 1, 1, 2},
    {16, 128, Conv3x3Tile::k128x64, 1, 2, 2}, {8, 256, Conv3x3Tile::k256x64, 1, 1, 2},
    {8, 256, Conv3x3Tile::k128x128, 1, 1, 2}, {8, 256, Conv3x3Tile::k128x64, 1, 2, 2},
    {4, 512, Conv3x3Tile::k256x64, 1, 1, 2},  {4, 512, Conv3x3Tile::k128x128, 1, 1, 2},
    {4, 512, Conv3x3Tile::k128x64, 1, 2, 2},
};

std::vector<Plan> plans_of(const Conv3x3Variant& variant, int sm) {
  const int threads = layout_of(variant.tile).threads();
  std::vector<Plan> plans;
  for (const StagePlan& stage : kStages) {
    if (stage.tile != variant.tile) continue;
    const Conv3x3Shape shape{128, stage.width, stage.width, stage.channels, stage.channels, variant.dtype};
    plans.push_back({.threads = threads,
                     .registers = std::min(255, (64 << 10) / (2 * threads)),  // two blocks fit
                     .shared_bytes = conv3x3_shared_bytes(shape, variant.direction, variant.tile),
                     .blocks = resident_threads(sm) < 2048 ? stage.small
                               : sm == 80                  ? stage.sm_80
                                                           : stage.large});
  }
  return plans;
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
  std::vector<Plan> plans_here;
  if (const auto variant = conv3x3_variant(kernel.symbol))
    plans_here = plans_of(*variant, kernel.sm);
  else if (const auto plan = plans().find(plain_name(kernel.symbol)); plan != plans().end())
    plans_here = {plan->second};
  if (plans_here.empty()) text << "no plan in this test";
  for (const Plan& plan : plans_here) {
    if (kernel.registers > plan.registers)
      text << kernel.registers << " registers of " << plan.registers << "; ";
    if (const int blocks = resident_blocks(kernel, plan.threads, plan.shared_bytes); blocks < plan.blocks)
      text << blocks << " blocks of " << plan.blocks << " per multiprocessor";
    if (text.tellp() > 0) break;
  }
  return text.str();
}

TEST(KernelResourcesTest, EveryKernelKeepsItsPlanOnEveryArchitecture) {
  std::set<std::string> seen;
  std::set<int> architectures;
  std::set<Conv3x3Variant> variants;
  for (const KernelResources& kernel : read_ptxas_reports(TDDS_CUDA_OBJECT_DIR)) {
    EXPECT_EQ(fault(kernel), "") << kernel.symbol << " on sm_" << kernel.sm;
    seen.insert(plain_name(kernel.symbol));
    if (const auto variant = conv3x3_variant(kernel.symbol)) variants.insert(*variant);
    architectures.insert(kernel.sm);
  }
  for (const auto& [name, plan] : plans()) EXPECT_TRUE(seen.contains(name)) << name << " was not found";
  EXPECT_EQ(variants.size(), kConv3x3Tiles.size() * 2 * 2) << "each tile, in two directions and two types";
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
  // A tile of 256 threads with 66 KB.
  const std::string tile = "_Z14conv3x3_kernelINS_6half_tELNS_11Conv3x3TileE2ELNS_16Conv3x3DirectionE0EEEv";
  EXPECT_EQ(fault_of(report_of(tile, clean, "Used 128 registers")), "");
  EXPECT_EQ(fault_of(report_of(tile, clean, "Used 136 registers")), "136 registers of 128; ");
  EXPECT_EQ(fault_of(report_of(tile, clean, "Used 128 registers, 40960 bytes smem")),
            "0 blocks of 1 per multiprocessor");
  EXPECT_EQ(fault_of(report_of("_Z11new_kernelv", clean, "Used 8 registers")), "no plan in this test");
}

}  // namespace
}  // namespace tdds
