#include "engine/data/source_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "engine/image/dataset_image.h"
#include "engine/io/files.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileIdentity identity_of(const std::string& path) {
  struct stat status {};
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error || ::stat(real.c_str(), &status) != 0) return {};
  FileIdentity identity{.bytes = static_cast<std::uint64_t>(status.st_size),
                        .inode = static_cast<std::uint64_t>(status.st_ino),
                        .modified = nanoseconds(status.st_mtim),
                        .changed = nanoseconds(status.st_ctim)};
  const Sha256 digest = sha256_of(real.native());
  std::copy_n(digest.begin(), identity.real_path.size(), identity.real_path.begin());
  return identity;
}

std::string read_image_file(const std::string& path) {
  std::error_code ignored;
  check(fs::is_regular_file(path, ignored), "{} cannot be read: it is a broken link or not a regular file.",
        path);
  return read_file(path, kMaxFileBytes);
}

DecodedFile decode_file(const std::string& path, int size, bool exif_rotate) {
  DecodedFile decoded;
  // Taken before the file is read, so that the next run notices a change in between.
  decoded.stamp.identity = identity_of(path);
  try {
    const std::string bytes = read_image_file(path);
    decoded.stamp.content = sha256_of(bytes);
    bool ends_early = false;
    decoded.pixels = decode_image(bytes, path, size, exif_rotate, &ends_early);
    decoded.status = ends_early ? kEarlyFile : kDecodedFile;
  } catch (const Error& error) {
    decoded.failure = error.what();
    decoded.pixels.assign(std::size_t{3} * static_cast<std::size_t>(size) * static_cast<std::size_t>(size),
                          0);
  }
  return decoded;
}

}  // namespace tdds
