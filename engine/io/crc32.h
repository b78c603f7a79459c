#pragma once
// CRC-32 of zlib, gzip and PNG (polynomial 0xEDB88320, reflected). `crc` continues an earlier sum.

#include <zlib.h>

#include <cstddef>
#include <cstdint>

namespace tdds {

inline std::uint32_t crc32(const void* data, std::size_t bytes, std::uint32_t crc = 0) {
  return bytes == 0 ? crc : static_cast<std::uint32_t>(crc32_z(crc, static_cast<const Bytef*>(data), bytes));
}

}  // namespace tdds
