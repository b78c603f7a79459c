// tdds-train --kernel_report: counts kernels on simt without changing a result.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

using testing::HasSubstr;

// Two steps of 25 images, and the evaluation of 10.
std::vector<std::string> one_epoch(const std::string& folder, const std::vector<std::string>& more) {
  return with(tiny(folder, 1), with({"--device", "simt", "--dynamics", "--shapes_train", "50",
                                     "--shapes_test", "10", "--batch-size", "25"},
                                    more));
}

#if defined(__SANITIZE_ADDRESS__)

TEST(KernelReportProgramTest, SaysThatSanitizersExcludeIt) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool("tdds-train", one_epoch(folder.str(), {"--kernel_report"}));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("this build cannot count the accesses of kernels"));
}

#else

// The numbers of a kernel's line; the first is that of its launches.
std::vector<double> numbers_of(const std::string& table, const std::string& kernel) {
  const std::size_t at = table.find("\n" + kernel + " ");
  if (at == std::string::npos) return {};
  std::istringstream words(table.substr(at + 1 + kernel.size()));
  return {std::istream_iterator<double>(words), {}};
}

TEST(KernelReportProgramTest, CountsAndChangesNoBit) {
  const TemporaryFolder plain, counted;
  const Outcome without = run_tool("tdds-train", one_epoch(plain.str(), {}));
  const Outcome with_report = run_tool("tdds-train", one_epoch(counted.str(), {"--kernel_report"}));
  ASSERT_EQ(without.exit_code, 0) << without.err;
  ASSERT_EQ(with_report.exit_code, 0) << with_report.err;
  EXPECT_TRUE(model_bytes(plain.str()) == model_bytes(counted.str()));
  EXPECT_TRUE(read_text(plain / "dynamics.tdds") == read_text(counted / "dynamics.tdds"));
  EXPECT_EQ(metrics_but_times(plain.str()), metrics_but_times(counted.str()));

  EXPECT_EQ(without.out.find("launches"), std::string::npos);
  const std::string& table = with_report.out;
  // Evaluations advance the step's counter, too.
  const std::vector<double> advance = numbers_of(table, "advance"),
                            moments = numbers_of(table, "batchnorm_moments<float, 4>");
  ASSERT_GE(advance.size(), 3u) << table;
  EXPECT_EQ(advance[0], 3);
  ASSERT_GE(moments.size(), 6u) << table;
  EXPECT_EQ(moments[2], 256) << "threads of a block";
  EXPECT_THAT(table, HasSubstr(" kernels/gpu/batchnorm.cu\n"));
  EXPECT_THAT(table, HasSubstr(" kernels/gpu/sgd.cu\n"));
}

#endif

TEST(KernelReportProgramTest, NeedsSimt) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::vector<std::string>& flags) {
    const Outcome outcome = run_tool("tdds-train", with(tiny(folder.str(), 1), flags));
    EXPECT_EQ(outcome.exit_code, 2);
    return outcome.err;
  };
  EXPECT_THAT(error_of({"--device", "cpu", "--kernel_report"}), HasSubstr("on the device cpu"));
  EXPECT_THAT(error_of({"--device", "simt", "--kernel_report", "--dry_run"}), HasSubstr("--dry_run"));
  EXPECT_THAT(error_of({"--device", "simt", "--kernel_report", "--target", "x"}),
              HasSubstr("'x' (--target)"));
  EXPECT_THAT(error_of({"--target", "sm_90"}), HasSubstr("only works with --dry_run or --kernel_report"));
}

}  // namespace
}  // namespace tdds::test
