#include "engine/data/parallel_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

namespace tdds {
namespace {

TEST(ParallelFilesTest, WorksOnEachOnce) {
  std::vector<int> calls(1000);
  std::size_t last = 0;
  for_each_file(
      calls.size(), [&](std::size_t done) { last = std::max(last, done); },
      [&](std::size_t i) { ++calls[i]; });
  EXPECT_EQ(calls, std::vector<int>(1000, 1));
  EXPECT_LT(last, 1000u);
}

TEST(ParallelFilesTest, TheFirstExceptionEndsIt) {
  std::atomic<int> calls{0};
  const auto fail_at = [&](std::size_t bad) {
    for_each_file(100'000, nullptr, [&](std::size_t i) {
      ++calls;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (i == bad) throw std::runtime_error("bad file");
    });
  };
  EXPECT_THROW(fail_at(10), std::runtime_error);
  EXPECT_LT(calls, 10'000);
}

TEST(ParallelFilesTest, TheCallerIsPolledAndMayStopIt) {
  const auto caller = std::this_thread::get_id();
  std::atomic<int> calls{0};
  EXPECT_THROW(for_each_file(
                   100'000,
                   [&](std::size_t) {
                     EXPECT_EQ(std::this_thread::get_id(), caller);
                     throw std::runtime_error("stop");
                   },
                   [&](std::size_t) { ++calls; }),
               std::runtime_error);
  EXPECT_EQ(calls, 0);
}

TEST(ParallelFilesTest, TheCallerMayStopItInTheMiddle) {
  std::atomic<int> calls{0};
  const auto work = [&](std::size_t) {
    ++calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const auto stop = [](std::size_t done) {
    if (done >= 10) throw std::runtime_error("stop");
  };
  EXPECT_THROW(for_each_file(100'000, stop, work), std::runtime_error);
  EXPECT_LT(calls, 10'000);
}

}  // namespace
}  // namespace tdds
