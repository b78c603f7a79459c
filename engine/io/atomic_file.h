#pragma once
// A file that appears complete or not at all: it is written as `path + ".tmp"`, flushed to the disk and
// renamed.

#include <cstddef>
#include <string>
#include <string_view>

namespace tdds {

class AtomicFile {
 public:
  // Creates `path + ".tmp"`. Throws Error if the folder is missing or not writable, or if `path` exists and
  // is not a regular file.
  explicit AtomicFile(std::string path);
  ~AtomicFile();  // without commit(): removes the temporary file and leaves `path` unchanged
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throws Error if the bytes cannot be written, for example on a full disk or at a file-size limit.
  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Flushes to the disk and renames. Throws Error for write errors that are reported late.
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

// Writes all bytes at the file's position; `path` names the file in the error.
void write_all(int fd, const void* data, std::size_t bytes, const std::string& path);

// Makes a rename or a new file in the folder of `path` durable against a power failure.
void sync_folder_of(const std::string& path);

}  // namespace tdds
