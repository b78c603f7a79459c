#pragma once
// Message digests (OpenSSL): SHA-256 for fingerprints and MD5 for the checksums that public archives publish.

#include <cstddef>
#include <memory>
#include <string>

namespace tdds {

enum class HashKind { kSha256, kMd5 };

// Bytes in, lower-case hex out. hex() ends the digest; nothing may be added after it.
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

// Throws Error when the file cannot be read.
std::string hash_file(HashKind kind, const std::string& path);

}  // namespace tdds
