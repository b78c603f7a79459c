// The table of kernels: its ratios, and the rows of ptxas' report that belong to a kernel.

#include "apps/cli/kernel_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

using testing::HasSubstr;

// 2 launches of 3 blocks each. A load has 4 sectors a request, all of which are used.
KernelCounters moments() {
  KernelCounters row;
  row.name = "batchnorm_moments";
  row.file = "kernels/gpu/batchnorm.cu";
  row.symbol =
      "_ZN4tdds12simt_counted12_GLOBAL__N_114moments_kernelINS_6half_tELi8EEEvPKT_NS0_16BatchNormScratchE";
  row.threads = 256;
  row.shared_bytes = 19 << 10;
  row.launches = 2;
  row.blocks = 6;
  row.loads = {.requests = 1000, .lanes = 32000, .sectors = 4000, .bytes = 128000};
  row.stores = {.requests = 100, .lanes = 1600, .sectors = 1600, .bytes = 6400};
  row.shared = {.requests = 50, .lanes = 1600, .conflicts = 75};
  row.barriers = 18;
  row.warp_waits = 6;
  row.atomics = 10;
  row.mma = 24;
  return row;
}

std::string report_of(const std::string& symbol, int sm, int registers) {
  return "ptxas info    : Compiling entry function '" + symbol + "' for 'sm_" + std::to_string(sm) +
         "'\nptxas info    : Function properties for " + symbol +
         "\n    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\nptxas info    : Used " +
         std::to_string(registers) + " registers, used 1 barriers, 128 bytes smem\n";
}

constexpr const char* kOnGpu =
    "_ZN4tdds4cuda51_GLOBAL__N__f3e76dc2_12_batchnorm_cu_9e8885dc_2889414moments_kernelI"
    "NS_6half_tELi8EEEvPKT_NS0_16BatchNormScratchE";

// The words of the table's line for the first row.
std::vector<std::string> words_of_row(const std::string& table) {
  std::istringstream lines(table);
  std::string line;
  std::getline(lines, line);
  std::getline(lines, line);
  std::istringstream words(line);
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(KernelReportTest, ShowsRatiosByRow) {
  const std::string table = kernel_table({moments()}, {.sm = 90, .why_absent = "there is no ptxas"});
  // 65,600 lanes of 1,150 requests are 30.6; 6,400 of the 51,200 bytes of the stores' sectors are 12.5 %.
  EXPECT_THAT(words_of_row(table),
              testing::ElementsAre("batchnorm_moments<half_t,", "8>", "2", "3", "256", "0.064", "4.00", "100",
                                   "0.003", "16.00", "12", "19456", "1.50", "30.6", "3.0", "1.0", "5", "12",
                                   "kernels/gpu/batchnorm.cu"));
  EXPECT_THAT(table, HasSubstr("registers and occupancy are not shown: there is no ptxas"));
}

// 80 registers of 256 threads: 3 of the 65,536 registers' blocks, 768 of 2,048 threads.
TEST(KernelReportTest, FindsTheKernelInThePtxasReport) {
  const std::string other = "_ZN4tdds4cuda1x14moments_kernelIfLi4EEEvPKT_NS0_16BatchNormScratchE";
  const ReportTarget target{
      .sm = 90, .kernels = parse_ptxas_report(report_of(other, 90, 20) + report_of(kOnGpu, 90, 80))};
  ASSERT_EQ(target.kernels.size(), 2u);
  const KernelResources* found = resources_of(moments(), target);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->symbol, kOnGpu);
  EXPECT_EQ(found->registers, 80);
  EXPECT_EQ(found->shared_bytes, 128);
  EXPECT_TRUE(found->in_registers());
  EXPECT_EQ(occupancy(moments(), *found), 768.0 / 2048);
  const nlohmann::ordered_json row = to_json({moments()}, target)[0];
  EXPECT_EQ(row["registers"], 80);
  EXPECT_EQ(row["shared"]["conflicts"], 75);
  EXPECT_EQ(row["mma"], 24);
  EXPECT_EQ(row["kernel"], "batchnorm_moments<half_t, 8>");
  KernelCounters stripped = moments();
  stripped.symbol = "";
  EXPECT_EQ(resources_of(stripped, target), nullptr);
  EXPECT_THAT(kernel_table({stripped}, target), HasSubstr(" ?     ? kernels/gpu/batchnorm.cu"));
}

TEST(KernelReportTest, RejectsWhatIsNoArchitecture) {
  EXPECT_EQ(report_target("sm_80").sm, 80);
  EXPECT_EQ(report_target("").sm, 90);
  for (const char* name : {"native", "90", "sm_", "sm_x", "sm_90a", "sm_-3"})
    EXPECT_THROW(report_target(name), UsageError) << name;
}

}  // namespace
}  // namespace tdds
