#pragma once
// Reads members of a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz into memory (libarchive). Nothing is unpacked
// to the disk, so no member can choose where it is written.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tdds {

// Returns the regular members whose path `wants` accepts, by their path inside the archive ("./" removed).
// Throws Error that names the archive if it is unreadable, damaged or truncated, if a wanted name occurs
// twice, if a member is longer than `max_member_bytes`, or if it holds more members than any data set
// (20,000). libarchive does not verify gzip's checksum: a changed byte inside a member may go unnoticed, so
// compare a hash if one is known.
std::map<std::string, std::string> read_archive(const std::string& path,
                                                const std::function<bool(const std::string&)>& wants,
                                                std::uint64_t max_member_bytes);
// The same of an archive that was cut into files, in their order. The first names it in errors.
std::map<std::string, std::string> read_archive(const std::vector<std::string>& parts,
                                                const std::function<bool(const std::string&)>& wants,
                                                std::uint64_t max_member_bytes);

}  // namespace tdds
