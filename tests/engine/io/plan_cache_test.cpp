#include "engine/io/plan_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds::test {
namespace {

TEST(PlanCacheFileTest, KeepsTheTextAndLeavesNothingElse) {
  const TemporaryFolder folder;
  EXPECT_FALSE(plan_cache_file("").read);
  const PlanCache cache = plan_cache_file(folder / "plans");
  EXPECT_EQ(cache.name, folder / "plans");
  EXPECT_EQ(cache.read(), std::nullopt);
  cache.keep("one");
  cache.keep("two");
  EXPECT_EQ(plan_cache_file(folder / "plans").read(), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  EXPECT_THROW(plan_cache_file(folder / "none/plans").keep("x"), Error);
}

// Two runs that time plans share the user's cache. Its content is always complete.
TEST(PlanCacheFileTest, WritersDoNotMix) {
  const TemporaryFolder folder;
  std::vector<std::thread> writers;
  std::atomic<int> failures = 0;
  for (const char letter : {'a', 'b'})
    writers.emplace_back([&, letter] {
      const PlanCache cache = plan_cache_file(folder / "plans");
      for (int i = 0; i < 20; ++i) {
        cache.keep(std::string(100000, letter));
        const std::string text = cache.read().value_or("");
        failures += text.size() != 100000 || text.find_first_not_of(text[0]) != std::string::npos;
      }
    });
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace tdds::test
