#pragma once
// The code that both calls of engine/data/dataset_cache.h share: it finds a cache, compares it with the
// files and completes it.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/cache_file.h"
#include "engine/data/dataset_cache.h"

namespace tdds {

struct ReadyImages {
  std::string path;  // of the cache
  std::shared_ptr<const CacheLayout> layout;
  std::shared_ptr<const CacheFile> cache;  // null without request.cache_dir
  std::vector<IndexEntry> index;           // [files]; without a cache the sums are not set
  std::map<std::size_t, std::string> bad;  // a sentence for each bad file, by row
  std::size_t hashed = 0, decoded = 0;     // numbers of files; the others were not read
  double seconds = 0;                      // of decoding
};

// Brings the images of all files into the cache and, if `pixels` is not null, to it as [files, size, size,
// 3].
ReadyImages ready_images(const DecodeRequest& request, std::uint8_t* pixels);

}  // namespace tdds
