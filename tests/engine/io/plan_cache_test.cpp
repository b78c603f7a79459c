#include "engine/io/plan_cache.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds::test {
namespace {

void keep(const PlanCache& cache, const std::string& text) {
  cache.update([&](const PlanCache::Text&) { return text; });
}

TEST(PlanCacheFileTest, KeepsTheTextAndLeavesNothingElse) {
  const TemporaryFolder folder;
  EXPECT_FALSE(plan_cache_file("").read);
  const PlanCache cache = plan_cache_file(folder / "plans");
  EXPECT_EQ(cache.name, folder / "plans");
  EXPECT_EQ(cache.read(), std::nullopt);
  keep(cache, "one");
  keep(cache, "two");
  EXPECT_EQ(plan_cache_file(folder / "plans").read(), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  keep(plan_cache_file(folder / "new/plans"), "x");
  EXPECT_EQ(plan_cache_file(folder / "new/plans").read(), "x");
  EXPECT_THROW(keep(plan_cache_file("/proc/nothing/plans"), "x"), Error);
}

// Runs that time plans at once share the user's cache: none of them loses what another has added.
TEST(PlanCacheFileTest, ProcessesAddToOneFile) {
  const TemporaryFolder folder;
  constexpr int kAdded = 20;
  std::vector<pid_t> writers;
  for (const char letter : {'a', 'b', 'c'}) {
    writers.push_back(fork());
    if (writers.back() != 0) continue;
    const PlanCache cache = plan_cache_file(folder / "plans");
    for (int i = 0; i < kAdded; ++i)
      cache.update([&](const PlanCache::Text& saved) { return saved.value_or("") + letter; });
    _exit(0);
  }
  for (const pid_t writer : writers) {
    int status = 1;
    ASSERT_EQ(waitpid(writer, &status, 0), writer);
    EXPECT_EQ(status, 0);
  }
  const std::string text = plan_cache_file(folder / "plans").read().value_or("");
  EXPECT_EQ(text.size(), 3 * kAdded);
  for (const char letter : {'a', 'b', 'c'}) EXPECT_EQ(std::count(text.begin(), text.end(), letter), kAdded);
}

}  // namespace
}  // namespace tdds::test
