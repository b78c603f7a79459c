#pragma once
// Reads and writes files and folders. Every failure, such as a full disk, a quota, a folder that is not
// writable or a file-size limit, throws Error with one sentence that names the path, the cause and the fix.
// A file-size limit is an error of write() only if the signal SIGXFSZ is ignored, as run_program
// (apps/cli/cli.h) arranges.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "engine/io/atomic_file.h"

namespace tdds {

// Writes the output of `fill`, or `bytes`, beside `path` and renames it to `path`: a reader finds the old
// content or the new content, complete.
void write_file_atomically(const std::filesystem::path& path, const std::function<void(AtomicFile&)>& fill);
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// Appends `bytes` to the file, which is created if it is absent. An incomplete append is undone.
void append_to_file(const std::filesystem::path& path, std::string_view bytes);

// Creates the folder and its parents. Throws if it cannot be created or is not writable.
void make_folder(const std::filesystem::path& path);

// An open regular file. read() may be called by several threads at once.
class InputFile {
 public:
  explicit InputFile(std::filesystem::path path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }  // when it was opened
  void read(std::uint64_t offset, void* to, std::uint64_t bytes) const;

 private:
  std::filesystem::path path_;
  int number_ = -1;
  std::uint64_t bytes_ = 0;
};

// Reads the whole file. Throws if it is longer than `max_bytes`, which guards against a wrong file.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace tdds
