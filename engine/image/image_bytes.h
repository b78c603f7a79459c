#pragma once
// Reads numbers from the bytes of an image file, and throws the error for a damaged one.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/runtime/check.h"

namespace tdds {

// The caller guarantees that the bytes exist.
inline std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}
inline std::uint32_t little16(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) | byte_at(bytes, at + 1) << 8;
}
inline std::uint32_t little32(std::string_view bytes, std::size_t at) {
  return little16(bytes, at) | little16(bytes, at + 2) << 16;
}
inline std::uint32_t big16(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}
inline std::uint32_t big32(std::string_view bytes, std::size_t at) {
  return big16(bytes, at) << 16 | big16(bytes, at + 2);
}

// Both throw Error that names the file, check_sound only unless `ok`.
[[noreturn]] inline void refuse_damaged(const std::string& file, std::string_view reason) {
  throw Error(fmt::format("{} is damaged ({}): restore or remove it.", file, reason));
}
inline void check_sound(bool ok, const std::string& file, std::string_view reason) {
  if (!ok) [[unlikely]]
    refuse_damaged(file, reason);
}

}  // namespace tdds
