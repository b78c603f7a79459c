#include "engine/io/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>

namespace tdds {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDigits = "0123456789abcdef";

// The length of the character at the front of `text`, or 0 if there is no valid one: overlong forms,
// surrogates and code points above U+10FFFF are not UTF-8 (RFC 3629).
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < bytes) return 0;
  const int least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const int most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 0;
  for (std::size_t at = 2; at < bytes; ++at)
    if (byte(at) < 0x80 || byte(at) > 0xBF) return 0;
  return bytes;
}

bool is_escape(std::string_view text) {
  return text.size() >= 4 && text.starts_with("\\x") && kDigits.find(text[2]) != std::string_view::npos &&
         kDigits.find(text[3]) != std::string_view::npos;
}

std::string escape(char byte) {
  return fmt::format("\\x{:02x}", static_cast<std::uint8_t>(byte));
}

void make_utf8(Json& json) {
  if (json.is_string()) {
    json = utf8_of(json.get_ref<const std::string&>());
  } else if (json.is_array()) {
    for (Json& element : json) make_utf8(element);
  } else if (json.is_object()) {
    Json object = Json::object();
    for (auto& [key, value] : json.items()) {
      make_utf8(value);
      object[utf8_of(key)] = std::move(value);
    }
    json = std::move(object);
  }
}

}  // namespace

std::string utf8_of(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t count = is_escape(bytes) ? 0 : character_bytes(bytes);
    if (count == 0)
      text += escape(bytes.front());
    else
      text.append(bytes.substr(0, count));
    bytes.remove_prefix(std::max<std::size_t>(count, 1));
  }
  return text;
}

std::string bytes_of_utf8(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const bool escaped = is_escape(text);
    bytes += escaped ? static_cast<char>(16 * kDigits.find(text[2]) + kDigits.find(text[3])) : text.front();
    text.remove_prefix(escaped ? 4 : 1);
  }
  return bytes;
}

std::string line_of(std::string_view bytes) {
  std::string line;
  for (const char c : utf8_of(bytes)) {
    const bool control = static_cast<std::uint8_t>(c) < ' ' || c == 0x7f;
    control ? line.append(escape(c)) : line.append(1, c);
  }
  return line;
}

std::string json_text(Json json, int indent) {
  make_utf8(json);
  return json.dump(indent);
}

}  // namespace tdds
