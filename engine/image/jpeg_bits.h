#pragma once
// The bits of a JPEG's scan, and its Huffman codes.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/image/image_bytes.h"

namespace tdds {

// Reads up to the next marker. After it, all bits are zero, as in stb_image; overrun() says whether such
// bits were used.
class JpegBits {
 public:
  JpegBits(std::string_view bytes, std::size_t at) : bytes_(bytes), at_(at) {}

  // 0 to 16 bits.
  std::uint32_t peek(std::uint32_t bits) {
    if (held_ < bits) fill();
    return bits == 0 ? 0 : static_cast<std::uint32_t>(buffer_ >> (64 - bits));
  }
  void skip(std::uint32_t bits) {
    if (held_ < bits) fill();
    buffer_ <<= bits;
    held_ -= bits;
  }
  std::uint32_t take(std::uint32_t bits) {
    const std::uint32_t value = peek(bits);
    skip(bits);
    return value;
  }

  bool overrun() const { return held_ < padding_; }
  // Whether fewer than `bits` bits, at most 32, are left before the marker.
  bool has_fewer(std::uint32_t bits) {
    if (held_ < bits) fill();
    return stopped_ && held_ < padding_ + bits;
  }
  // Searches from the current position for the next marker. Returns where its FF is, or the end of the bytes.
  std::size_t marker() {
    while (!stopped_) next_byte();
    return at_;
  }
  // The position after the byte of the last bit taken. Requires !overrun().
  std::size_t position() const {
    std::size_t at = at_;
    for (std::uint32_t whole = (held_ - padding_) / 8; whole > 0; --whole)
      at -= bytes_[at - 1] == 0 && bytes_[at - 2] == '\xFF' ? 2 : 1;
    return at;
  }

 private:
  void fill() {
    while (held_ <= 56) {
      const std::uint64_t byte = next_byte();
      if (stopped_) padding_ += 8;
      buffer_ |= byte << (56 - held_);
      held_ += 8;
    }
  }
  // In data, FF is followed by 00. Returns 0 at the marker.
  std::uint32_t next_byte() {
    if (!stopped_ && at_ < bytes_.size()) {
      const std::uint32_t byte = byte_at(bytes_, at_);
      if (byte != 0xFF) {
        ++at_;
        return byte;
      }
      const std::size_t next = bytes_.find_first_not_of('\xFF', at_);
      if (next != std::string_view::npos && bytes_[next] == 0) {
        at_ = next + 1;
        return byte;
      }
    }
    stopped_ = true;
    return 0;
  }

  std::string_view bytes_;
  std::size_t at_;
  std::uint64_t buffer_ = 0;  // the next bit is the highest
  std::uint32_t held_ = 0, padding_ = 0;
  bool stopped_ = false;
};

// Codes of 1 to 16 bits.
class JpegHuffman {
 public:
  // Builds the table from the 16 numbers of codes and the values. Returns false for impossible numbers.
  bool build(std::string_view counts, std::string_view values);

  // The next code's value, or -1 if the next bits are not a code.
  int decode(JpegBits& bits) const {
    const std::uint32_t next = bits.peek(16);
    if (const Entry& entry = fast_[next >> 7]; entry.length > 0) {
      bits.skip(entry.length);
      return entry.value;
    }
    return decode_long(bits, next);
  }

 private:
  struct Entry {
    std::uint8_t length = 0, value = 0;
  };
  int decode_long(JpegBits& bits, std::uint32_t next) const;

  std::array<Entry, 512> fast_{};         // by the next 9 bits
  std::array<std::uint32_t, 17> end_{};   // above the last code of a length, shifted to 16 bits
  std::array<std::int32_t, 17> first_{};  // the index of a length's first value, minus its first code
  std::vector<std::uint8_t> values_;
};

}  // namespace tdds
