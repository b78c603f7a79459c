#include "apps/report/base64.h"

#include <openssl/evp.h>

#include <algorithm>

namespace tdds::report {

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::size_t kChunk = 3 << 20;  // whole groups; OpenSSL's lengths are ints
  // EVP_EncodeBlock writes a NUL after each chunk, where the next one begins.
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  for (std::size_t at = 0; at < bytes.size(); at += kChunk)
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(&text[at / 3 * 4]),
                    reinterpret_cast<const unsigned char*>(&bytes[at]),
                    static_cast<int>(std::min(kChunk, bytes.size() - at)));
  text.pop_back();
  return text;
}

}  // namespace tdds::report
