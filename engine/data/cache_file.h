#pragma once
// The format of a cache of decoded images, and of the index beside it.
//
//   cache  = one record per file, in order, then the name of the cache (32 bytes): SHA-256 of the files'
//            contents and pixels
//   record = u8 status (1 decoded, 0 bad), size*size*3 bytes of pixels, u32 CRC-32 of both; FileStamp of the
//            file that was decoded; u32 CRC-32 of all this, of the record's row (u64) and of the file's path
//   index  = one IndexEntry per record, the name of its cache, u32 CRC-32 of the bytes before it
//
// A cache that has its name never changes. Its index does: it holds the identity that each file had when it
// was last found to have the decoded content. Numbers are little-endian.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/image_source.h"
#include "engine/data/source_file.h"
#include "engine/io/mapped_file.h"

namespace tdds {

// The images of a cache.
struct CacheLayout {
  int size = 0;                    // of the decoded images
  std::vector<std::string> files;  // paths, in the order of the records

  std::size_t image_bytes() const {
    return std::size_t{3} * static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  }
  std::size_t record_bytes() const { return 1 + image_bytes() + 4 + sizeof(FileStamp) + 4; }
  std::size_t cache_bytes() const { return files.size() * record_bytes() + sizeof(Sha256); }
};

// The part of a record that is known without reading it.
struct IndexEntry {
  ImageSource::Sums sums;  // zero if bad
  FileStamp stamp;
  std::uint32_t checksum;  // of status and pixels
  std::uint32_t status;    // FileStatus
};

// A cache, or the beginning of one, mapped. Several threads may read at once; rows are 0 .. records() - 1.
class CacheFile {
 public:
  // Throws Error if `path` cannot be read.
  CacheFile(const std::string& path, std::shared_ptr<const CacheLayout> layout);

  std::size_t records() const;  // complete ones; 0 if the file is longer than a cache of this layout
  bool complete() const;        // whether the file has exactly the length of this layout
  Sha256 name() const;          // at the end of a complete file

  bool is_sound(std::size_t row) const;  // undamaged, and of this row and file
  bool good(std::size_t row) const;
  const std::uint8_t* pixels(std::size_t row) const;
  IndexEntry entry(std::size_t row) const;
  // Releases the memory pages of a record.
  void release(std::size_t row) const;

 private:
  const std::uint8_t* record(std::size_t row) const;

  std::shared_ptr<const CacheLayout> layout_;
  MappedFile map_;
};

// `record` must be complete.
IndexEntry entry_of(const CacheLayout& layout, const std::uint8_t* record);

std::string record_of(const CacheLayout& layout, std::size_t row, FileStatus status,
                      const std::uint8_t* pixels, const FileStamp& stamp);

// The name of the cache that has these records.
Sha256 cache_name(const std::vector<IndexEntry>& index);

// Returns an empty vector if there is no sound index of `records` records for the cache with this name.
std::vector<IndexEntry> read_index(const std::string& path, std::size_t records, const Sha256& name);
void write_index(const std::string& path, const std::vector<IndexEntry>& index, const Sha256& name);

}  // namespace tdds
