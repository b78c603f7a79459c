#pragma once
// Bytes as text (RFC 4648), for data: URLs and for arrays that a page's script reads.

#include <bit>
#include <cstddef>
#include <span>
#include <string>

namespace tdds::report {

std::string base64(std::span<const std::byte> bytes);

// Encodes the elements as they are in memory: little-endian.
template <typename T>
std::string base64_of(std::span<const T> values) {
  static_assert(std::endian::native == std::endian::little);
  return base64(std::as_bytes(values));
}

}  // namespace tdds::report
