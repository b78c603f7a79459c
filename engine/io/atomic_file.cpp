#include "engine/io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "engine/io/system_reason.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp") {
  // Renaming onto a device or a pipe would replace it; renaming onto a folder would fail only in commit().
  std::error_code unknown;
  const auto status = std::filesystem::status(path_, unknown);
  check(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status),
        "{} cannot be written: it is not a regular file; choose another name", path_);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check(fd_ >= 0, "{} cannot be written: {}", path_,
        system_reason(errno, "choose a folder that exists and that you may write to"));
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  write_all(fd_, data, bytes, path_);
}

void AtomicFile::commit() {
  check(::fsync(fd_) == 0, "{} cannot be written: {}", path_, system_reason(errno));
  // Network file systems may report a full disk only here. close() frees the descriptor even if it fails.
  const bool closed = ::close(fd_) == 0;
  fd_ = -1;
  if (!closed || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    throw Error(fmt::format("{} cannot be written: {}", path_, system_reason(error)));
  }
  sync_folder_of(path_);
}

void write_all(int fd, const void* data, std::size_t bytes, const std::string& path) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(fd, next, bytes);
    if (done < 0 && errno == EINTR) continue;
    check(done > 0, "{} cannot be written: {}", path, system_reason(done < 0 ? errno : ENOSPC));
    next += done;
    bytes -= static_cast<std::size_t>(done);
  }
}

void sync_folder_of(const std::string& path) {
  const int folder = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // a folder may be writable but not readable; the file itself is safe
  ::fsync(folder);
  ::close(folder);
}

}  // namespace tdds
