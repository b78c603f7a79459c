#pragma once
// Reads the bytes of a pickle from front to back and checks every length. Every failure throws Error with
// the file, the offset of the current opcode and the reason.

#include <cstdint>
#include <string>
#include <string_view>

namespace tdds {

class PickleReader {
 public:
  PickleReader(std::string_view bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  char next_opcode();  // also stores its offset for errors
  std::string_view take(std::uint64_t count);
  std::uint64_t little_endian(int count);              // unsigned, count <= 8 bytes
  std::int64_t long_integer(std::uint64_t count);      // two's complement, least byte first
  std::string_view line();                             // to the next newline, which is consumed
  std::int64_t decimal(std::string_view text) const;   // "12" or Python 2's "12L"
  std::string unquoted(std::string_view text) const;   // Python 2's repr of a byte string
  std::string unescaped(std::string_view text) const;  // Python's raw-unicode-escape, to UTF-8
  std::string latin1(std::string_view utf8) const;     // one byte for each character

  std::uint64_t size() const { return bytes_.size(); }
  std::uint64_t left() const { return bytes_.size() - at_; }

  // `reason` completes "the pickle ...".
  void require(bool ok, std::string_view reason) const {
    if (!ok) [[unlikely]]
      fail(reason);
  }
  [[noreturn]] void fail(std::string_view reason) const;

 private:
  std::string_view bytes_, file_;
  std::size_t at_ = 0, opcode_at_ = 0;
};

}  // namespace tdds
