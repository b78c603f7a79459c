#pragma once
// Whole files and folders. Every failure throws Error with one sentence that names the path, the cause and
// the mend: a full disk, a quota, a folder that may not be written, a file-size limit. Such a limit is an
// error of write() only where the signal SIGXFSZ is ignored, which run_program (apps/cli.h) sees to.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "engine/atomic_file.h"

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

// The whole file. Throws where it is longer than `max_bytes`: a guard against reading what cannot be meant.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace tdds
