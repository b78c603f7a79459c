// The state of a GPU's clocks, read from a stand-in for NVML.
#include "kernels/cuda/nvml.h"

#include <gtest/gtest.h>

#include "tests/paths.h"

namespace tdds {
namespace {

const std::string kLibrary = preload_path("fake_nvml");

std::optional<DeviceClocks> read(const char* state, const char* bus_id = "0000:3b:00.0") {
  state ? setenv("FAKE_NVML", state, 1) : unsetenv("FAKE_NVML");
  return read_clocks(bus_id, kLibrary.c_str());
}

TEST(NvmlTest, ReadsClocksTemperatureAndReasons) {
  const auto clocks = read("1980 2619 41 0");
  ASSERT_TRUE(clocks.has_value());
  EXPECT_EQ(clocks->sm_mhz, 1980);
  EXPECT_EQ(clocks->memory_mhz, 2619);
  EXPECT_EQ(clocks->celsius, 41);
  EXPECT_EQ(clocks->slowed_by, "");
}

TEST(NvmlTest, NamesWhatLowersTheClocks) {
  const std::pair<const char*, const char*> cases[] = {{"4", "the power limit"},
                                                       {"8", "the power supply"},
                                                       {"80", "the power supply"},
                                                       {"20", "heat"},
                                                       {"40", "heat"},
                                                       {"10", "another GPU of its group"},
                                                       {"44", "the power limit, heat"},
                                                       {"1", ""},
                                                       {"102", ""}};
  for (const auto& [reasons, words] : cases) {
    const auto clocks = read((std::string("1200 2619 88 ") + reasons).c_str());
    ASSERT_TRUE(clocks.has_value());
    EXPECT_EQ(clocks->slowed_by, words) << reasons;
  }
}

TEST(NvmlTest, GivesNothingWhereTheLibraryIsMissingOrRefuses) {
  EXPECT_FALSE(read(nullptr).has_value());                           // it cannot be initialised
  EXPECT_FALSE(read("1980 2619 41 0", "0000:00:00.0").has_value());  // another GPU
  EXPECT_FALSE(read_clocks("0000:3b:00.0", "libnot-there.so").has_value());
}

TEST(NvmlTest, WarnsOfClocksThatChanged) {
  const DeviceClocks fast{1980, 2619, 40}, slow{1410, 2619, 88, "heat"};
  EXPECT_EQ(clocks_warning(fast, {1965, 2619, 60}), "");  // it moves by single steps all the time
  EXPECT_EQ(
      clocks_warning(fast, slow),
      "the GPU's clocks were 1980 MHz (memory 2619 MHz, 40 C) before and are 1410 MHz (memory 2619 MHz, "
      "88 C, lowered by heat) now, so do not compare these times; let the GPU cool, or lock its clocks "
      "with nvidia-smi");
  EXPECT_NE(clocks_warning(slow, slow), "");
  EXPECT_NE(clocks_warning(fast, {1980, 1593, 40}), "");
}

}  // namespace
}  // namespace tdds
