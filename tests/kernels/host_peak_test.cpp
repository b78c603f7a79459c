// How fast is bench/check_floor.py's affair: here only what is measured at all.

#include "kernels/runtime/host_peak.h"

#include <gtest/gtest.h>

namespace tdds::test {
namespace {

TEST(HostPeak, IsOfWhatTheCpuHas) {
  const DevicePeak peak = make_device(DeviceKind::kCpu)->peak(std::size_t{1} << 20);
  EXPECT_GT(peak.fp32, 0);
  EXPECT_EQ(peak.tf32, peak.fp32);
  EXPECT_EQ(peak.half > 0, host_has_bf16());
  EXPECT_GT(peak.bytes, 0);
  EXPECT_EQ(make_device(DeviceKind::kSimt)->peak().fp32, 0) << "of kernels that run thread by thread";
}

TEST(HostPeak, ReadsNothingOfNothing) {
  EXPECT_EQ(cpu::measured_peak(0).bytes, 0);
}

}  // namespace
}  // namespace tdds::test
