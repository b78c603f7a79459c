#include "engine/io/file_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::TemporaryFolder;

// Runs `body` in a child process.
template <class Body>
pid_t start_process(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  return child;
}

TEST(FileLockTest, IsHeldOnceAndNamesItsHolder) {
  const TemporaryFolder folder;
  const FileLock first(folder / "lock");
  EXPECT_TRUE(first.held());
  const FileLock second(folder / "lock");
  EXPECT_FALSE(second.held());
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
  EXPECT_EQ(second.holder(), "process " + std::to_string(getpid()) + " on the host " + host);
}

TEST(FileLockTest, AHolderIsNamedByTheFirstLineThatItWrote) {
  const TemporaryFolder folder;
  const FileLock first(folder / "lock");
  FileLock second(folder / "lock");
  const auto holder_of = [&](const std::string& text) {
    test::write_text(folder / "lock", text);
    EXPECT_FALSE(second.try_again());
    return second.holder();
  };
  EXPECT_EQ(holder_of("process 7 on the host alpha\nand more\n"), "process 7 on the host alpha");
  const std::string longest = "process 7 on the host " + std::string(256 - 22 - 1, 'a');
  EXPECT_EQ(holder_of(longest + "\n"), longest);
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("process 7 on the host alpha"),
        std::string("other words\n"), longest + "a\n", std::string(1000, '\0')})
    EXPECT_EQ(holder_of(text), "another process") << text;
}

TEST(FileLockTest, IsFreeAfterReleaseAndLeavesNoFile) {
  const TemporaryFolder folder;
  {
    const FileLock first(folder / "lock");
    FileLock second(folder / "lock");
    EXPECT_FALSE(second.try_again());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_TRUE(FileLock(folder / "lock").held());
}

TEST(FileLockTest, PassesToAWaitingProcessAfterTheFileWasRemoved) {
  const TemporaryFolder folder;
  auto first = std::make_unique<FileLock>(folder / "lock");
  FileLock second(folder / "lock");
  first.reset();
  EXPECT_TRUE(second.try_again());
  EXPECT_FALSE(FileLock(folder / "lock").held());
}

TEST(FileLockTest, EndsWithAKilledProcess) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = start_process([&] {
    const FileLock lock(folder / "lock");
    const char byte = lock.held() ? 1 : 0;
    if (write(ready[1], &byte, 1) == 1) pause();
  });
  char held = 0;
  ASSERT_EQ(read(ready[0], &held, 1), 1);
  EXPECT_EQ(held, 1);
  FileLock lock(folder / "lock");
  EXPECT_FALSE(lock.held());
  EXPECT_EQ(lock.holder().find("process " + std::to_string(child) + " on the host "), 0u);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(lock.try_again());
}

TEST(FileLockTest, ASharedLockExcludesOnlyAnExclusiveOne) {
  const TemporaryFolder folder;
  {
    FileLock alone(folder / "lock");
    EXPECT_FALSE(FileLock(folder / "lock", LockMode::kShared).held());
  }
  auto first = std::make_unique<FileLock>(folder / "lock", LockMode::kShared);
  auto second = std::make_unique<FileLock>(folder / "lock", LockMode::kShared);
  EXPECT_TRUE(first->held() && second->held());
  FileLock alone(folder / "lock");
  EXPECT_FALSE(alone.held());
  EXPECT_TRUE(alone.holder().ends_with(" or one that shares its lock")) << alone.holder();
  first.reset();
  EXPECT_FALSE(alone.try_again()) << "the other still holds it";
  EXPECT_TRUE(FileLock(folder / "lock", LockMode::kShared).held());
  second.reset();
  EXPECT_TRUE(alone.try_again());
}

TEST(FileLockTest, TheLastHolderOfASharedLockRemovesItsFile) {
  const TemporaryFolder folder;
  auto first = std::make_unique<FileLock>(folder / "lock", LockMode::kShared);
  auto second = std::make_unique<FileLock>(folder / "lock", LockMode::kShared);
  first.reset();
  EXPECT_FALSE(std::filesystem::is_empty(folder.path()));
  second.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(FileLockTest, IsRefusedWhereItsFileCannotBeMade) {
  const TemporaryFolder folder;
  EXPECT_THROW(FileLock(folder / "absent/lock"), Error);
}

TEST(FileLockTest, IsNotTakenThroughALink) {
  const TemporaryFolder folder;
  test::write_text(folder / "precious", "content");
  std::filesystem::create_symlink(folder / "precious", folder / "lock");
  EXPECT_THROW(FileLock(folder / "lock"), Error);
  EXPECT_EQ(test::read_text(folder / "precious"), "content");
}

}  // namespace
}  // namespace tdds
