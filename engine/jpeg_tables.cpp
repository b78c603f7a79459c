#include "engine/jpeg_tables.h"

#include <algorithm>
#include <cstddef>

namespace tdds {

namespace {

std::size_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

// A segment of tables: for each its kind, 16 numbers of codes, and a byte a code.
bool has_overlong_table(std::string_view tables) {
  constexpr std::size_t kCounts = 16, kMostCodes = 256;
  for (std::size_t at = 0; at + 1 + kCounts <= tables.size();) {
    std::size_t codes = 0;
    for (std::size_t i = 1; i <= kCounts; ++i) codes += byte_at(tables, at + i);
    if (codes > kMostCodes) return true;
    at += 1 + kCounts + codes;
  }
  return false;
}

}  // namespace

bool has_overlong_huffman_table(std::string_view bytes) {
  constexpr std::size_t kTables = 0xC4, kFirstRestart = 0xD0, kLastAlone = 0xD9, kFirstWithLength = 0xC0;
  if (!bytes.starts_with("\xff\xd8")) return false;
  for (std::size_t at = 2; (at = bytes.find('\xff', at)) != std::string_view::npos;) {
    at = bytes.find_first_not_of('\xff', at);
    if (at == std::string_view::npos || at + 3 > bytes.size()) return false;
    const std::size_t marker = byte_at(bytes, at);
    ++at;
    // Escaped data, restarts, beginnings and ends stand alone.
    if (marker < kFirstWithLength || (marker >= kFirstRestart && marker <= kLastAlone)) continue;
    const std::size_t length = byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
    // The counts are read before the length is found too short.
    const std::size_t seen = marker == kTables ? std::max<std::size_t>(length, 2 + 17) : length;
    if (marker == kTables && has_overlong_table(bytes.substr(at + 2, seen - 2))) return true;
    at += std::max<std::size_t>(length, 2);
  }
  return false;
}

}  // namespace tdds
