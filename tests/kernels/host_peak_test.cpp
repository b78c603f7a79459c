// Tests which rates are measured. bench/check_floor.py tests their values.

#include "kernels/runtime/host_peak.h"

#include <gtest/gtest.h>

namespace tdds::test {
namespace {

TEST(HostPeakTest, MeasuresWhatTheCpuSupports) {
  const DevicePeak peak = make_device(DeviceKind::kCpu)->peak(std::size_t{1} << 20);
  EXPECT_GT(peak.fp32, 0);
  EXPECT_EQ(peak.tf32, peak.fp32);
  EXPECT_EQ(peak.half > 0, host_has_bf16());
  EXPECT_GT(peak.bytes, 0);
  EXPECT_EQ(make_device(DeviceKind::kSimt)->peak().fp32, 0)
      << "unknown for kernels that run thread by thread";
}

TEST(HostPeakTest, EmptyTensorHasNoReadRate) {
  EXPECT_EQ(cpu::measured_peak(0).bytes, 0);
}

}  // namespace
}  // namespace tdds::test
