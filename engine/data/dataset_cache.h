#pragma once
// Images decoded once. A cache is a file of fixed-size records, each with its own checksum, made for one list of files
// at one size; it appears under its name when complete, and what an interrupted run had finished is used again.
//
//   record = u8 status (1 decoded, 0 bad), size*size*3 bytes of pixels, u32 CRC-32 of the bytes before it
//
// Opened for reading from the disk, it gets `<name>.index` beside it: of every record status, checksum, and sums of its
// pixels. The name holds the SHA-256 of the paths, file sizes, modification times and of how they are decoded, so changed
// files make a new cache. `<name>.manifest.tsv` beside it says which files they are.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/image_source.h"

namespace tdds {

struct DecodeRequest {
  std::string folder;  // the files' paths begin here
  std::vector<std::string> files;
  int size = 0;           // of the decoded images
  std::string cache_dir;  // empty: nothing is kept
  bool skip_bad = false;  // else the first bad file is an Error
  bool exif_rotate = false;
  std::string manifest;                                      // text, written beside the cache
  std::function<void(std::int64_t, std::int64_t)> progress;  // files done, files in all; may be empty
  std::function<void(const std::string&)>
      announce;  // a sentence on the work and its size beforehand; may be empty
};

struct DecodedImages {
  std::vector<std::uint8_t> pixels;  // [files, size, size, 3]; zero where bad
  std::vector<std::string> bad;      // one sentence for each bad file
  std::vector<std::uint8_t> good;    // [files] 1 where decoded
  std::string note;                  // a sentence: where they came from, images/s
};

// Decodes in parallel; the result does not depend on the number of threads, nor on whether it came from the cache.
// Throws Error where the cache's disk has not the space that it needs.
DecodedImages decode_files(const DecodeRequest& request);

// The bytes that the decoded images take.
std::int64_t decoded_bytes(const DecodeRequest& request);

// The same, without ever holding more than a block of the images in memory: they are read from the cache, which is made
// where it is absent. Each read checks the record's checksum.
struct StoredImages {
  std::shared_ptr<const ImageSource> source;  // rows are files; those that are bad must not be read
  std::vector<std::string> bad;
  std::vector<std::uint8_t> good;
  std::string note;
};
StoredImages store_files(const DecodeRequest& request);

}  // namespace tdds
