#pragma once
// The format of a cache of decoded images, and of the index beside it.
//
//   cache  = a record for each file, in their order, then its name (32 bytes): SHA-256 of their contents and
//            pixels
//   record = u8 status (1 decoded, 0 bad), size*size*3 bytes of pixels, u32 CRC-32 of both; FileStamp of the
//            file that was decoded; u32 CRC-32 of all this, of the record's row (u64) and of the file's path
//   index  = an IndexEntry for each record, the name of the cache that it is of, u32 CRC-32 of the bytes
//            before it
//
// A cache never changes once it has its name. The index does: it holds the identities of the files when they
// were last found to have the content that was decoded. Numbers are little-endian.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/image_source.h"
#include "engine/data/source_file.h"
#include "engine/io/mapped_file.h"

namespace tdds {

// What a cache is of.
struct CacheLayout {
  int size = 0;                    // of the decoded images
  std::vector<std::string> files;  // paths, in the order of the records

  std::size_t image_bytes() const {
    return std::size_t{3} * static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  }
  std::size_t record_bytes() const { return 1 + image_bytes() + 4 + sizeof(FileStamp) + 4; }
  std::size_t cache_bytes() const { return files.size() * record_bytes() + sizeof(Sha256); }
};

// What is known of a record without reading it.
struct IndexEntry {
  ImageSource::Sums sums;  // zero where bad
  FileStamp stamp;
  std::uint32_t checksum;  // of status and pixels
  std::uint32_t status;    // FileStatus
};

// A cache, or the beginning of one, mapped. Several threads may read at once; rows are 0 .. records() - 1.
class CacheFile {
 public:
  // Throws Error where `path` cannot be read.
  CacheFile(const std::string& path, std::shared_ptr<const CacheLayout> layout);

  std::size_t records() const;  // whole ones; 0 where the file is longer than a cache of this layout
  bool complete() const;        // it has exactly the length that it should have
  Sha256 name() const;          // the one that a complete file ends with

  bool is_sound(std::size_t row) const;  // undamaged, and of this row and file
  bool good(std::size_t row) const;
  const std::uint8_t* pixels(std::size_t row) const;
  IndexEntry entry(std::size_t row) const;
  // Lets go of the memory behind a record.
  void release(std::size_t row) const;

 private:
  const std::uint8_t* record(std::size_t row) const;

  std::shared_ptr<const CacheLayout> layout_;
  MappedFile map_;
};

// `record` is a whole one.
IndexEntry entry_of(const CacheLayout& layout, const std::uint8_t* record);

std::string record_of(const CacheLayout& layout, std::size_t row, FileStatus status,
                      const std::uint8_t* pixels, const FileStamp& stamp);

// The name of the cache that has these records.
Sha256 cache_name(const std::vector<IndexEntry>& index);

// Empty where there is no sound index of `records` records of the cache with this name.
std::vector<IndexEntry> read_index(const std::string& path, std::size_t records, const Sha256& name);
void write_index(const std::string& path, const std::vector<IndexEntry>& index, const Sha256& name);

}  // namespace tdds
