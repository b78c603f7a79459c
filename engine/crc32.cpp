#include "engine/crc32.h"

#include <array>
#include <bit>
#include <cstring>

namespace tdds {
namespace {

static_assert(std::endian::native == std::endian::little, "eight bytes are taken as one word");

// kTable[k][b]: the sum of byte b followed by k zero bytes ("slicing by 8").
constexpr auto kTable = [] {
  std::array<std::array<std::uint32_t, 256>, 8> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
    table[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t byte = 0; byte < 256; ++byte)
      table[k][byte] = table[k - 1][byte] >> 8 ^ table[0][table[k - 1][byte] & 255];
  return table;
}();

}  // namespace

std::uint32_t crc32(const void* data, std::size_t bytes, std::uint32_t crc) {
  const auto* next = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; bytes >= 8; bytes -= 8, next += 8) {
    std::uint64_t word;
    std::memcpy(&word, next, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k) crc ^= kTable[7 - k][word >> (8 * k) & 255];
  }
  for (; bytes > 0; --bytes, ++next) crc = crc >> 8 ^ kTable[0][(crc ^ *next) & 255];
  return ~crc;
}

}  // namespace tdds
