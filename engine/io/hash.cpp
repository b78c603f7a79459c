#include "engine/io/hash.h"

#include <openssl/evp.h>

#include <array>
#include <fstream>

#include "kernels/runtime/check.h"

namespace tdds {

struct Hash::State {
  struct Free {
    void operator()(EVP_MD_CTX* raw) const { EVP_MD_CTX_free(raw); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Hash::Hash(HashKind kind) : state_(std::make_unique<State>()) {
  const EVP_MD* algorithm = kind == HashKind::kSha256 ? EVP_sha256() : EVP_md5();
  check(state_->context && EVP_DigestInit_ex(state_->context.get(), algorithm, nullptr) == 1,
        "OpenSSL does not offer {} here: use a configuration that allows it.",
        kind == HashKind::kSha256 ? "SHA-256" : "MD5");
}

Hash::~Hash() = default;
Hash::Hash(Hash&&) noexcept = default;
Hash& Hash::operator=(Hash&&) noexcept = default;

void Hash::add(const void* bytes, std::size_t count) {
  check(EVP_DigestUpdate(state_->context.get(), bytes, count) == 1, "OpenSSL could not extend a digest.");
}

std::string Hash::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  check(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &length) == 1,
        "OpenSSL could not finish a digest.");
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

Sha256 sha256_of(std::string_view bytes) {
  Sha256 digest{};
  unsigned length = 0;
  check(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1,
        "OpenSSL could not make a digest.");
  return digest;
}

std::string hex_of(const Sha256& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) text.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return text;
}

std::string hash_file(HashKind kind, const std::string& path) {
  return hash_files(kind, {path});
}

std::string hash_files(HashKind kind, const std::vector<std::string>& paths) {
  Hash hash(kind);
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    check(file.good(), "{} cannot be opened: check that it exists and is readable.", path);
    std::array<char, 1 << 16> block{};
    while (file.read(block.data(), block.size()) || file.gcount() > 0)
      hash.add(block.data(), static_cast<std::size_t>(file.gcount()));
    check(file.eof(), "{} could not be read to its end: check the disk.", path);
  }
  return hash.hex();
}

}  // namespace tdds
