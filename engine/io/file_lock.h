#pragma once
// An advisory lock between processes. It ends with the process that holds it, even after kill -9. It is
// flock(2) on a small file that names the holder; the file is removed on release.

#include <cstdint>
#include <filesystem>
#include <string>

namespace tdds {

// Any number of processes can hold a shared lock, while no process holds an exclusive one.
enum class LockMode : std::uint8_t { kExclusive, kShared };

class FileLock {
 public:
  // Tries once to take the lock, without waiting. `path` is the lock's own file, in a folder that exists and
  // is writable. Throws Error if the file cannot be created.
  explicit FileLock(std::filesystem::path path, LockMode mode = LockMode::kExclusive);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // True also on a file system without locks; warning() then says so.
  bool held() const { return held_; }
  // Tries once more; returns held().
  bool try_again();

  // While not held: the holder, "process 4711 on the host alpha", or "another process" if it is unknown. Of a
  // shared lock it is the last one that took it, "... or one that shares its lock".
  const std::string& holder() const { return holder_; }
  // A sentence if the file system has no locks; else empty.
  const std::string& warning() const { return warning_; }

 private:
  std::filesystem::path path_;
  LockMode mode_;
  int fd_ = -1;
  bool held_ = false;
  std::string holder_, warning_;
};

}  // namespace tdds
