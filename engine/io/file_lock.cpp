#include "engine/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "engine/io/system_reason.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::size_t kHolderBytes = 256;

// O_NOFOLLOW: a link must not lead to a lock on a file elsewhere.
int open_lock_file(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  check(fd >= 0, "the lock {} cannot be made: {}", path.string(),
        system_reason(errno, "choose a folder that you may write to"));
  return fd;
}

// The previous holder may have removed the file after it was opened here.
bool is_file_at(int fd, const std::filesystem::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

bool has_no_locks(int error) {
  return error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

void write_holder(int fd, LockMode mode) {
  std::array<char, kHolderBytes> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  const std::string text = fmt::format("process {} on the host {}{}\n", ::getpid(), host.data(),
                                       mode == LockMode::kShared ? " or one that shares its lock" : "");
  // The name is for messages only; the lock does not depend on it.
  [[maybe_unused]] const bool written =
      ::ftruncate(fd, 0) == 0 && ::pwrite(fd, text.data(), text.size(), 0) > 0;
}

std::string read_holder(int fd) {
  std::string text(kHolderBytes, '\0');
  // Where nothing is read the text stays zero, which names no holder.
  [[maybe_unused]] const ssize_t bytes = ::pread(fd, text.data(), text.size(), 0);
  const std::size_t end = text.find('\n');
  return text.starts_with("process ") && end != std::string::npos ? text.substr(0, end) : "another process";
}

}  // namespace

FileLock::FileLock(std::filesystem::path path, LockMode mode) : path_(std::move(path)), mode_(mode) {
  try_again();
}

FileLock::~FileLock() {
  // Only the last holder of a shared lock can make it exclusive.
  const bool alone = held_ && (mode_ == LockMode::kExclusive || ::flock(fd_, LOCK_EX | LOCK_NB) == 0);
  // Removed while still locked: a process that opened it before finds the name gone and opens a new file.
  if (alone && is_file_at(fd_, path_)) ::unlink(path_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

bool FileLock::try_again() {
  while (!held_) {
    if (fd_ < 0) fd_ = open_lock_file(path_);
    if (::flock(fd_, (mode_ == LockMode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) {
      held_ = is_file_at(fd_, path_);
      if (held_) break;
      ::close(fd_);
      fd_ = -1;
      continue;
    }
    if (errno == EINTR) continue;
    if (!has_no_locks(errno)) {
      check(errno == EWOULDBLOCK, "the lock {} cannot be taken: {}", path_.string(), system_reason(errno));
      holder_ = read_holder(fd_);
      return false;
    }
    held_ = true;
    warning_ = fmt::format(
        "the file system of {} has no locks: do not let two programs write there at the same time",
        path_.parent_path().string());
  }
  write_holder(fd_, mode_);
  return true;
}

}  // namespace tdds
