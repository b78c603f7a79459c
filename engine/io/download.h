#pragma once
// Fetches a file whose content is known beforehand (libcurl: https, http and file URLs).

#include <cstdint>
#include <functional>
#include <string>

namespace tdds {

// Bytes received so far and bytes in all (0 where unknown); called from the downloading thread, at least
// about once a second. What it throws ends the download.
using DownloadProgress = std::function<void(std::int64_t, std::int64_t)>;

// Writes `path` + ".tmp", compares its MD5 with `md5` (lower-case hex) and renames it to `path`; the folder
// must exist. Redirections are followed. Throws Error, leaving nothing behind, when the server cannot be
// reached or stalls for 30 s, when the file is longer than `max_bytes`, the disk is full or the MD5 differs.
void download_file(const std::string& url, const std::string& path, const std::string& md5,
                   std::int64_t max_bytes, const DownloadProgress& progress);

}  // namespace tdds
