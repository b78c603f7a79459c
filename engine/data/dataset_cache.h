#pragma once
// Images decoded once, and kept in a file of checksummed records (engine/data/cache_file.h).
//
// A cache is `pixels_<split>_<size>[_upright]_<hash>.cache`. The split is the last component of the folder's
// path. The hash covers the split, the files' paths below it, their sizes, and how they are decoded. So a
// data set that was moved finds its cache, and train/ and test/ with equal listings have separate ones. Each
// file is compared with its record. If its real path, inode, size, mtime and ctime are unchanged, the record
// is used without reading the file. Otherwise the file is read and hashed; if its content is unchanged, the
// record is used, else the file is decoded again. The result of the comparison is kept in `<cache>.index` if
// the folder is writable. `<cache>.manifest.tsv` lists the files.
//
// Several processes may share a folder of caches. A complete cache is read without a lock, even in a folder
// that is not writable. The process that makes or repairs a cache holds `<cache>.lock`
// (engine/io/file_lock.h), and the others wait. A cache is written as `<cache>.partial` and renamed when it
// is complete; the records of an interrupted run are used again.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/image_source.h"
#include "engine/data/source_file.h"

namespace tdds {

struct DecodeRequest {
  std::string folder;  // the files' paths are relative to it
  std::vector<std::string> files;
  std::vector<std::int32_t> labels;  // of each file, for the manifest; empty: no manifest is written
  int size = 0;                      // of the decoded images
  std::string cache_dir;             // empty: nothing is kept
  bool skip_bad = false;             // else the first bad file is an Error
  bool exif_rotate = false;
  // Called by the calling thread with the number of finished files and of all files, while they are hashed
  // or decoded. May be empty.
  std::function<void(std::int64_t, std::int64_t)> progress;
  // Called with a sentence on the work and its size before it begins, or on the process that is waited for.
  // May be empty.
  std::function<void(const std::string&)> announce;
  // Called between files and while waiting. It may throw to end the work; finished work is kept. May be
  // empty.
  std::function<void()> poll;
};

struct DecodedImages {
  std::vector<std::uint8_t> pixels;  // [files, size, size, 3]; zero if bad
  std::vector<std::string> bad;      // one sentence for each bad file
  std::vector<std::uint8_t> good;    // [files] 1 if decoded
  std::vector<FileStamp> stamps;     // [files]
  std::string note;                  // a sentence: files taken, hashed and decoded, images/s
};

// Decodes in parallel. The result depends neither on the number of threads nor on whether it came from the
// cache. Throws Error if the disk lacks the space for the cache.
DecodedImages decode_files(const DecodeRequest& request);

// The size of the decoded images in bytes.
std::int64_t decoded_bytes(const DecodeRequest& request);

// The same with at most one block of images in memory at a time: they are read from the cache, which is made
// if it is absent. Each read verifies the record's checksum.
struct StoredImages {
  std::shared_ptr<const ImageSource> source;  // rows are files; bad ones must not be read
  std::vector<std::string> bad;
  std::vector<std::uint8_t> good;
  std::vector<FileStamp> stamps;
  std::string note;
};
StoredImages store_files(const DecodeRequest& request);

// A sentence that names the folder's caches of an earlier format, which are not read; empty if there are
// none.
std::string note_on_old_caches(const std::string& cache_dir);

}  // namespace tdds
