#pragma once
// Whole files and folders. Every failure throws Error with one sentence that names the path, the cause and
// the mend: a full disk, a quota, a folder that may not be written, a file-size limit. Such a limit is an
// error of write() only where the signal SIGXFSZ is ignored, which run_program (apps/cli/cli.h) sees to.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "engine/io/atomic_file.h"

namespace tdds {

// Writes `fill`'s output, or `bytes`, beside `path` and renames it there: a reader finds the old content or
// the new, whole.
void write_file_atomically(const std::filesystem::path& path, const std::function<void(AtomicFile&)>& fill);
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// Adds `bytes` at the end of the file, which is made where it is absent. What cannot be added whole is taken
// back.
void append_to_file(const std::filesystem::path& path, std::string_view bytes);

// Makes the folder and those above it. Throws where it cannot be made or may not be written.
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

// The whole file. Throws where it is longer than `max_bytes`: a guard against reading what cannot be meant.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace tdds
