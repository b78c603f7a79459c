#pragma once
// An image file on the disk: its identity, which shows whether it has changed, and its bytes.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/hash.h"

namespace tdds {

// Where a file is and when it was changed. Equal identities mean equal bytes. The inode distinguishes files
// that were made in one tick of the file system's clock and whose folders were then swapped.
struct FileIdentity {
  std::array<std::uint8_t, 16> real_path{};  // the first half of its SHA-256
  std::uint64_t bytes = 0, inode = 0;
  std::int64_t modified = 0, changed = 0;  // mtime and ctime, ns since 1970

  // Whether the file could be examined; all members are zero if not.
  bool known() const { return changed != 0; }
  bool operator==(const FileIdentity&) const = default;
};

// The file that an image was decoded from.
struct FileStamp {
  Sha256 content{};  // of the encoded bytes; all zero if they could not be read
  FileIdentity identity;
};
static_assert(sizeof(FileStamp) == 80, "caches store the bytes that it has in memory");

// Follows links. Does not throw for a file that cannot be examined.
FileIdentity identity_of(const std::string& path);

// The encoded bytes. Throws Error if they cannot be read or the file is not a regular one.
std::string read_image_file(const std::string& path);

// The values are part of the cache's format.
enum FileStatus : std::uint8_t {
  kBadFile = 0,
  kDecodedFile = 1,
  kEarlyFile = 2,  // decoded: a JPEG whose data end before its end marker
};

// One file's image, or the reason why it was not decoded.
struct DecodedFile {
  std::vector<std::uint8_t> pixels;  // [size, size, 3]; zero if bad
  FileStamp stamp;
  FileStatus status = kBadFile;
  std::string failure;  // empty: decoded
};
// Does not throw for a file that cannot be read or decoded.
DecodedFile decode_file(const std::string& path, int size, bool exif_rotate);

}  // namespace tdds
