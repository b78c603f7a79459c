#pragma once
// Message digests (OpenSSL): SHA-256 for fingerprints and MD5 for the checksums that public archives publish.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

enum class HashKind { kSha256, kMd5 };

// An incremental digest. hex() finishes it and returns lower-case hex; nothing may be added after it.
class Hash {
 public:
  explicit Hash(HashKind kind);
  ~Hash();
  Hash(Hash&&) noexcept;
  Hash& operator=(Hash&&) noexcept;

  void add(const void* bytes, std::size_t count);
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The SHA-256 of bytes in memory.
using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256_of(std::string_view bytes);
std::string hex_of(const Sha256& digest);

// Throws Error if the file cannot be read.
std::string hash_file(HashKind kind, const std::string& path);
// Of the files' bytes one after the other.
std::string hash_files(HashKind kind, const std::vector<std::string>& paths);

}  // namespace tdds
