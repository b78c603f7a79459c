#include "engine/io/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <utility>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace {
std::function<void(int)> on_fsync;
}

// Replaces libc's, so that a test sees what is flushed.
extern "C" int fsync(int fd) {
  if (on_fsync) on_fsync(fd);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace tdds {
namespace {

using test::TemporaryFolder;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t kAny = 1 << 20;

// Lowers the file-size limit for its lifetime, and makes it an error of write() instead of a signal.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit lower{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &lower);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

std::size_t files_in(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator first(folder);
  return static_cast<std::size_t>(std::distance(begin(first), end(first)));
}

TEST(FilesTest, ReplacesAWholeFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  write_file_atomically(folder / "a", [](AtomicFile& file) {
    file.write("new");
    file.write(" content");
  });
  EXPECT_EQ(read_file(folder / "a", kAny), "new content");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

// The content is on the disk before its name, and the name when the call returns.
TEST(FilesTest, FlushesTheFileAndThenItsFolder) {
  const TemporaryFolder folder;
  const std::filesystem::path real = std::filesystem::canonical(folder.path()),
                              before = std::filesystem::current_path();
  std::filesystem::current_path(real);
  write_file_atomically(folder / "a", "old");
  using Flushed = std::pair<std::string, std::string>;  // its path, and the content of the file called a
  std::vector<Flushed> flushed;
  on_fsync = [&](int fd) {
    flushed.emplace_back(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)),
                         test::read_text("a"));
  };
  write_file_atomically(folder / "a", "new");
  write_file_atomically("a", "newer");
  sync_folder_of("/a");
  on_fsync = nullptr;
  std::filesystem::current_path(before);
  const std::string temporary = real / "a.tmp";
  EXPECT_EQ(flushed,
            (std::vector<Flushed>{
                {temporary, "old"}, {real, "new"}, {temporary, "new"}, {real, "newer"}, {"/", "newer"}}));
}

TEST(FilesTest, AFailingFillLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  EXPECT_THROW(write_file_atomically(folder / "a",
                                     [](AtomicFile& file) {
                                       file.write("half");
                                       throw Error("the source ran dry");
                                     }),
               Error);
  EXPECT_EQ(read_file(folder / "a", kAny), "old");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(FilesTest, AFileSizeLimitLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  const std::string large(100'000, 'x');
  {
    const FileSizeLimit limit(65'536);
    EXPECT_THAT([&] { write_file_atomically(folder / "a", large); },
                ThrowsMessage<Error>(AllOf(HasSubstr(folder / "a"), HasSubstr("ulimit -f"))));
  }
  EXPECT_EQ(read_file(folder / "a", kAny), "old");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(FilesTest, AppendingIsAllOrNothing) {
  const TemporaryFolder folder;
  append_to_file(folder / "log", "one\n");
  append_to_file(folder / "log", "two\n");
  {
    const FileSizeLimit limit(100);
    EXPECT_THAT([&] { append_to_file(folder / "log", std::string(200, 'x')); },
                ThrowsMessage<Error>(HasSubstr("ulimit -f")));
  }
  EXPECT_EQ(read_file(folder / "log", kAny), "one\ntwo\n");
}

TEST(FilesTest, AFullDeviceIsNamed) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  EXPECT_THAT([] { append_to_file("/dev/full", "x"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("/dev/full"), HasSubstr("disk is full"))));
}

TEST(FilesTest, AMissingFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { write_file_atomically(folder / "no/such/file", "x"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("no/such/file"), HasSubstr("No such file or directory"))));
}

// Renaming onto a device node would replace it.
TEST(FilesTest, OnlyRegularFilesAreReplaced) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "a");
  EXPECT_THAT([&] { write_file_atomically(folder / "a", "x"); },
              ThrowsMessage<Error>(HasSubstr("not a regular file")));
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(FilesTest, MakesFoldersAndAcceptsExistingOnes) {
  const TemporaryFolder folder;
  make_folder(folder / "a/b/c");
  make_folder(folder / "a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b/c"));
}

TEST(FilesTest, AFileInTheWayOfAFolderIsNamed) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "x");
  EXPECT_THAT([&] { make_folder(folder / "a"); }, ThrowsMessage<Error>(HasSubstr(folder / "a")));
  EXPECT_THAT([&] { make_folder(folder / "a/b"); }, ThrowsMessage<Error>(HasSubstr(folder / "a/b")));
}

TEST(FilesTest, AFolderWithoutPermissionIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_read);
  EXPECT_THAT([&] { make_folder(folder.path()); }, ThrowsMessage<Error>(HasSubstr("Permission denied")));
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

TEST(FilesTest, ReadingHasALimit) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", std::string(1000, 'x'));
  EXPECT_EQ(read_file(folder / "a", 1000).size(), 1000U);
  EXPECT_THAT([&] { read_file(folder / "a", 999); }, ThrowsMessage<Error>(HasSubstr("longer than the 999")));
  EXPECT_THAT([&] { read_file("/dev/zero", 5000); }, ThrowsMessage<Error>(HasSubstr("longer than the 5000")));
}

TEST(FilesTest, UnreadableFilesAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { read_file(folder / "absent", kAny); },
              ThrowsMessage<Error>(AllOf(HasSubstr("absent"), HasSubstr("No such file"))));
  EXPECT_THAT([&] { read_file(folder.path(), kAny); }, ThrowsMessage<Error>(HasSubstr("is a folder")));
}

}  // namespace
}  // namespace tdds
