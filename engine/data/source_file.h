#pragma once
// An image file as it lies on the disk: what says that it is still the same, and its bytes.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/hash.h"

namespace tdds {

// Where a file is and when it was changed. Two that are equal are of the same bytes. The inode tells apart
// files that were made in one tick of the file system's clock, when their folders change places.
struct FileIdentity {
  std::array<std::uint8_t, 16> real_path{};  // the first half of its SHA-256
  std::uint64_t bytes = 0, inode = 0;
  std::int64_t modified = 0, changed = 0;  // mtime and ctime, ns since 1970

  // All zero: the file could not be looked at.
  bool known() const { return changed != 0; }
  bool operator==(const FileIdentity&) const = default;
};

// What a decoded image is of.
struct FileStamp {
  Sha256 content{};  // of the encoded bytes; all zero where they could not be read
  FileIdentity identity;
};
static_assert(sizeof(FileStamp) == 80, "caches hold it as it lies in memory");

// Links are followed. Does not throw for a file that cannot be looked at.
FileIdentity identity_of(const std::string& path);

// The encoded bytes. Throws Error where they cannot be read, or are none of a regular file.
std::string read_image_file(const std::string& path);

// As caches hold it.
enum FileStatus : std::uint8_t {
  kBadFile = 0,
  kDecodedFile = 1,
  kEarlyFile = 2,  // decoded: a JPEG whose data end before its end marker
};

// One file's image, or why there is none.
struct DecodedFile {
  std::vector<std::uint8_t> pixels;  // [size, size, 3]; zero where bad
  FileStamp stamp;
  FileStatus status = kBadFile;
  std::string failure;  // empty: decoded
};
// Does not throw for a file that cannot be read or decoded.
DecodedFile decode_file(const std::string& path, int size, bool exif_rotate);

}  // namespace tdds
