#pragma once
// A file that appears whole or not at all: written as `path + ".tmp"`, flushed to the disk, renamed.

#include <cstddef>
#include <string>
#include <string_view>

namespace tdds {

class AtomicFile {
 public:
  // Creates `path + ".tmp"`. Throws Error where the folder is missing or may not be written, or where `path`
  // is something else than a regular file.
  explicit AtomicFile(std::string path);
  ~AtomicFile();  // without commit(): removes what was written; `path` is as it was
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throws Error when the bytes cannot be written: a full disk, a file-size limit.
  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Flushes to the disk and renames. Late write errors surface here.
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

// Writes all bytes at the file's position; `path` names the file in the error.
void write_all(int fd, const void* data, std::size_t bytes, const std::string& path);

// Makes a rename or a new file in the folder of `path` survive a power cut.
void sync_folder_of(const std::string& path);

}  // namespace tdds
