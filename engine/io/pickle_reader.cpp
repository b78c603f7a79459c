#include "engine/io/pickle_reader.h"

#include <algorithm>
#include <charconv>

#include "kernels/runtime/check.h"

namespace tdds {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_utf8(std::string& out, std::uint32_t character) {
  const int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  constexpr std::uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[more] | character >> (6 * more));
  for (int at = more - 1; at >= 0; --at) out += static_cast<char>(0x80 | (character >> (6 * at) & 0x3F));
}

}  // namespace

void PickleReader::fail(std::string_view reason) const {
  throw Error(
      fmt::format("{}, offset {}: the pickle {}; replace the file by a fresh copy from a source you trust.",
                  file_, opcode_at_, reason));
}

char PickleReader::next_opcode() {
  opcode_at_ = at_;
  require(left() > 0, "is truncated: its end is missing");
  return bytes_[at_++];
}

std::string_view PickleReader::take(std::uint64_t count) {
  if (count > left())
    fail(fmt::format("is truncated: {} bytes are announced and {} are left", count, left()));
  const std::string_view part = bytes_.substr(at_, count);
  at_ += count;
  return part;
}

std::uint64_t PickleReader::little_endian(int count) {
  std::uint64_t value = 0;
  const std::string_view part = take(static_cast<std::uint64_t>(count));
  for (int i = 0; i < count; ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(part[i])) << (8 * i);
  return value;
}

std::int64_t PickleReader::long_integer(std::uint64_t count) {
  require(count <= 8, "holds an integer of more than 64 bits");
  if (count == 0) return 0;
  const int unused = 64 - 8 * static_cast<int>(count);
  return static_cast<std::int64_t>(little_endian(static_cast<int>(count)) << unused) >> unused;
}

std::string_view PickleReader::line() {
  const std::size_t end = bytes_.find('\n', at_);
  require(end != std::string_view::npos, "is truncated inside a line");
  const std::string_view text = bytes_.substr(at_, end - at_);
  at_ = end + 1;
  return text;
}

std::int64_t PickleReader::decimal(std::string_view text) const {
  if (text.ends_with('L')) text.remove_suffix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size(), "holds a malformed number");
  return value;
}

std::string PickleReader::unquoted(std::string_view text) const {
  require(text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front(),
          "holds a string without its quotes");
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    require(++i < text.size(), "holds a string that ends in a backslash");
    constexpr std::string_view kNames = "\\'\"ntr", kBytes = "\\'\"\n\t\r";
    if (const std::size_t name = kNames.find(text[i]); name != std::string_view::npos) {
      out += kBytes[name];
      continue;
    }
    const bool digits = i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    require(text[i] == 'x' && digits, "holds a string with an unknown escape");
    out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
    i += 2;
  }
  return out;
}

std::string PickleReader::unescaped(std::string_view text) const {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digits = text[i] != '\\' || i + 1 == text.size() ? 0
                               : text[i + 1] == 'u'                    ? 4
                               : text[i + 1] == 'U'                    ? 8
                                                                       : 0;
    if (digits == 0) {
      append_utf8(out, static_cast<unsigned char>(text[i]));
      // Two backslashes belong together: the second one does not begin an escape.
      if (text.substr(i, 2) == "\\\\") out += text[++i];
      continue;
    }
    std::uint32_t character = 0;
    const char* begin = text.data() + i + 2;
    const char* end = begin + std::min(digits, text.size() - i - 2);
    const auto [rest, error] = std::from_chars(begin, end, character, 16);
    require(error == std::errc() && rest == begin + digits && character <= 0x10FFFF,
            "holds a text with an unknown escape");
    append_utf8(out, character);
    i += 1 + digits;
  }
  return out;
}

std::string PickleReader::latin1(std::string_view utf8) const {
  std::string out;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    if (lead < 0x80) {
      out += utf8[i];
      continue;
    }
    // U+0080 to U+00FF: C2 or C3, and one more.
    const bool fits = (lead == 0xC2 || lead == 0xC3) && i + 1 < utf8.size() &&
                      (static_cast<unsigned char>(utf8[i + 1]) & 0xC0) == 0x80;
    require(fits, "encodes text that Latin-1 does not have");
    out += static_cast<char>((lead & 3) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3F));
  }
  return out;
}

}  // namespace tdds
