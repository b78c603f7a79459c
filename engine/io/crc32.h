#pragma once
// CRC-32 as in zlib, gzip and PNG (polynomial 0xEDB88320, reflected). `crc` continues an earlier sum.

#include <cstddef>
#include <cstdint>

namespace tdds {

std::uint32_t crc32(const void* data, std::size_t bytes, std::uint32_t crc = 0);

}  // namespace tdds
