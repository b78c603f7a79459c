#pragma once
// Members of a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz (libarchive), read into memory: nothing is unpacked
// to disk, so no member can choose where it lands.

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace tdds {

// The regular members whose path `wants`, by their path inside the archive ("./" removed). Throws Error,
// naming the archive, when it is unreadable, damaged or truncated, when a wanted name occurs twice, when a
// member is longer than `max_member_bytes`, or when it holds more members than any data set (20,000).
// libarchive does not verify gzip's checksum: a changed byte inside a member may pass, so compare a hash
// where one is known.
std::map<std::string, std::string> read_archive(const std::string& path,
                                                const std::function<bool(const std::string&)>& wants,
                                                std::uint64_t max_member_bytes);

}  // namespace tdds
