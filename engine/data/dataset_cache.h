#pragma once
// Images decoded once, and kept in a file of checksummed records (engine/data/cache_file.h).
//
// A cache is `pixels_<split>_<size>[_upright]_<hash>.cache`: the split is the last name of the folder, and
// the hash is of it, of the files' paths below it and their sizes, and of how they are decoded. So a data set
// that was moved finds its cache, and train/ and test/ with equal listings have one each. Whether the files
// still are those that were decoded is asked of each: where its real path, inode, size, mtime and ctime are
// as they were, its record is taken unread; else the file is read and hashed, and its record taken if the
// content is the same; else it is decoded again. What was found is kept in `<cache>.index` where the folder
// may be written. `<cache>.manifest.tsv` says which files they are.
//
// Several processes may share a folder of caches. A complete cache is read without a lock, also where the
// folder may not be written. Who makes or repairs one holds `<cache>.lock` (engine/io/file_lock.h), and the
// others wait. It is made as `<cache>.partial` and appears under its name when complete; what an interrupted
// run had finished is used again.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/image_source.h"
#include "engine/data/source_file.h"

namespace tdds {

struct DecodeRequest {
  std::string folder;  // the files' paths begin here
  std::vector<std::string> files;
  std::vector<std::int32_t> labels;  // of each file, for the manifest; empty: none is written
  int size = 0;                      // of the decoded images
  std::string cache_dir;             // empty: nothing is kept
  bool skip_bad = false;             // else the first bad file is an Error
  bool exif_rotate = false;
  // Files done and files in all, while they are hashed or decoded; called by the calling thread. May be
  // empty.
  std::function<void(std::int64_t, std::int64_t)> progress;
  // A sentence on the work and its size beforehand, or on who is waited for. May be empty.
  std::function<void(const std::string&)> announce;
  // Called between files, and while waiting. It may throw to end the work; what is finished is kept. May be
  // empty.
  std::function<void()> poll;
};

struct DecodedImages {
  std::vector<std::uint8_t> pixels;  // [files, size, size, 3]; zero where bad
  std::vector<std::string> bad;      // one sentence for each bad file
  std::vector<std::uint8_t> good;    // [files] 1 where decoded
  std::vector<FileStamp> stamps;     // [files]
  std::string note;                  // a sentence: files taken, hashed and decoded, images/s
};

// Decodes in parallel; the result does not depend on the number of threads, nor on whether it came from the
// cache. Throws Error where the cache's disk has not the space that it needs.
DecodedImages decode_files(const DecodeRequest& request);

// The bytes that the decoded images take.
std::int64_t decoded_bytes(const DecodeRequest& request);

// The same, without ever holding more than a block of the images in memory: they are read from the cache,
// which is made where it is absent. Each read checks the record's checksum.
struct StoredImages {
  std::shared_ptr<const ImageSource> source;  // rows are files; those that are bad must not be read
  std::vector<std::string> bad;
  std::vector<std::uint8_t> good;
  std::vector<FileStamp> stamps;
  std::string note;
};
StoredImages store_files(const DecodeRequest& request);

// A sentence that names the caches of an earlier format in the folder, which are not read; empty where there
// are none.
std::string note_on_old_caches(const std::string& cache_dir);

}  // namespace tdds
