#include "engine/image/jpeg_bits.h"

namespace tdds {

bool JpegHuffman::build(std::string_view counts, std::string_view values) {
  *this = {};
  values_.assign(values.begin(), values.end());
  std::uint32_t code = 0, index = 0;
  for (std::uint32_t length = 1; length <= 16; ++length, code <<= 1) {
    first_[length] = static_cast<std::int32_t>(index) - static_cast<std::int32_t>(code);
    for (std::uint32_t i = 0; i < byte_at(counts, length - 1); ++i, ++code, ++index) {
      if (code >> length != 0 || index >= values_.size()) return false;
      if (length > 9) continue;
      const std::uint32_t begin = code << (9 - length);
      for (std::uint32_t same = 0; same < 1u << (9 - length); ++same)
        fast_[begin + same] = {.length = static_cast<std::uint8_t>(length), .value = values_[index]};
    }
    if (code > 1u << length) return false;
    end_[length] = code << (16 - length);
  }
  return true;
}

int JpegHuffman::decode_long(JpegBits& bits, std::uint32_t next) const {
  for (std::uint32_t length = 1; length <= 16; ++length) {
    if (next >= end_[length]) continue;
    const std::int32_t index = first_[length] + static_cast<std::int32_t>(next >> (16 - length));
    if (index < 0 || index >= static_cast<std::int32_t>(values_.size())) return -1;
    bits.skip(length);
    return values_[static_cast<std::size_t>(index)];
  }
  return -1;
}

}  // namespace tdds
