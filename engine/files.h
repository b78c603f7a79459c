#pragma once
// Whole files, written so that no failure can lose what was there before.
//
// Every failure throws Error with one sentence that names the path, the cause and the mend: a full disk, a
// quota, a folder that cannot be written, a file-size limit. The limit is reported as an error of write()
// only where the signal SIGXFSZ is ignored, which run_program (apps/cli.h) sees to.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// A file under construction: `path`.tmp, which becomes `path` at commit() and disappears if that never comes.
class FileWriter {
 public:
  explicit FileWriter(std::filesystem::path path);
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  ~FileWriter();

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  // Flushes to the disk, then takes the place of the old file in one step. Nothing may be written after.
  void commit();

 private:
  void flush();
  void write_through(const char* data, std::size_t bytes);
  [[noreturn]] void fail(int error);

  std::filesystem::path path_, beside_;
  std::vector<char> buffer_;
  int file_ = -1;
};

// Writes `fill`'s output, or `bytes`, beside `path` and renames it there: a reader finds the old content or
// the new, whole. `path` must be absent or a regular file.
void write_file_atomically(const std::filesystem::path& path, const std::function<void(FileWriter&)>& fill);
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// Adds `bytes` at the end of the file, which is made where it is absent. What cannot be added whole is taken
// back.
void append_to_file(const std::filesystem::path& path, std::string_view bytes);

// Makes the folder and those above it. An existing folder is fine if it can be written to.
void make_folder(const std::filesystem::path& path);

// The whole file. Throws where it is longer than `max_bytes`: a guard against reading what cannot be meant.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace tdds
