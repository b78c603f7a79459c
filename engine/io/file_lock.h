#pragma once
// An advisory lock between processes. It ends with the process that holds it, however that process ends:
// after kill -9 nothing is left to clean up. It is flock(2) on a small file that names the holder; the file
// is removed on release.

#include <filesystem>
#include <string>

namespace tdds {

class FileLock {
 public:
  // Tries to take the lock. `path` is the lock's own file, in a folder that exists and may be written. Does
  // not wait. Throws Error where the file cannot be made.
  explicit FileLock(std::filesystem::path path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // True also on a file system without locks; warning() then says so.
  bool held() const { return held_; }
  // Tries once more; returns held().
  bool try_again();

  // While not held: who holds it, "process 4711 on the host alpha", or "another process" where that cannot be
  // told.
  const std::string& holder() const { return holder_; }
  // A sentence where the file system has no locks; else empty.
  const std::string& warning() const { return warning_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  bool held_ = false;
  std::string holder_, warning_;
};

}  // namespace tdds
