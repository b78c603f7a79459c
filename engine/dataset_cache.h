#pragma once
// Images decoded once. A cache is a file of fixed-size records, each with its own checksum, made for one list of files
// at one size; it appears under its name when complete, and what an interrupted run had finished is used again.
//
//   record = u8 status (1 decoded, 0 bad), size*size*3 bytes of pixels, u32 CRC-32 of the bytes before it
//
// The name holds the SHA-256 of the paths, file sizes and modification times, so changed files make a new cache.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tdds {

struct DecodeRequest {
  std::string folder;  // the files' paths begin here
  std::vector<std::string> files;
  int size = 0;                                              // of the decoded images
  std::string cache_dir;                                     // empty: nothing is kept
  bool skip_bad = false;                                     // else the first bad file is an Error
  std::function<void(std::int64_t, std::int64_t)> progress;  // files done, files in all; may be empty
};

struct DecodedImages {
  std::vector<std::uint8_t> pixels;  // [files, size, size, 3]; zero where bad
  std::vector<std::string> bad;      // one sentence for each bad file
  std::vector<std::uint8_t> good;    // [files] 1 where decoded
};

// Decodes in parallel; the result does not depend on the number of threads, nor on whether it came from the cache.
DecodedImages decode_files(const DecodeRequest& request);

}  // namespace tdds
