#pragma once
// Downloads a file with a known MD5 by libcurl, from https, http and file URLs.

#include <cstdint>
#include <functional>
#include <string>

namespace tdds {

// Called by the downloading thread about once a second or more often, with the bytes received so far and the
// total (0 if unknown). An exception that it throws ends the download.
using DownloadProgress = std::function<void(std::int64_t, std::int64_t)>;

// Writes `path` + ".tmp", compares its MD5 with `md5` (lower-case hex) and renames it to `path`. The folder
// must exist. Redirects are followed. Throws Error and leaves no file behind if the server cannot be reached
// or stalls for 30 s, if the file is longer than `max_bytes`, if the disk is full or if the MD5 differs.
void download_file(const std::string& url, const std::string& path, const std::string& md5,
                   std::int64_t max_bytes, const DownloadProgress& progress);

}  // namespace tdds
