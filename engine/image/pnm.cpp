#include "engine/image/pnm.h"

#include "engine/image/image_bytes.h"

namespace tdds {

namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";

struct Header {
  std::size_t channels, start;  // of the pixels in the file
  std::uint32_t width, height, largest;

  std::size_t value_bytes() const { return largest > 255 ? 2 : 1; }
};

// Reads a number after white space and comments, and moves `at` past it.
std::uint32_t next_number(std::string_view bytes, std::size_t& at, const std::string& file) {
  constexpr std::uint32_t kMax = 1 << 24;
  while ((at = bytes.find_first_not_of(kSpaces, at)) < bytes.size() && bytes[at] == '#')
    at = bytes.find_first_of("\n\r", at);
  std::uint32_t value = 0;
  const std::size_t begin = at;
  for (; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9' && value <= kMax; ++at)
    value = 10 * value + byte_at(bytes, at) - '0';
  check_sound(at > begin && at < bytes.size() && value <= kMax, file, "its header");
  return value;
}

Header header_of(std::string_view bytes, const std::string& file) {
  std::size_t at = 2;
  const std::uint32_t width = next_number(bytes, at, file), height = next_number(bytes, at, file),
                      largest = next_number(bytes, at, file);
  check_size(width, height, file);
  check_sound(largest > 0 && largest <= 65535 && kSpaces.find(bytes[at]) != std::string_view::npos, file,
              "its header");
  return {.channels = bytes[1] == '6' ? 3U : 1U,
          .start = at + 1,
          .width = width,
          .height = height,
          .largest = largest};
}

}  // namespace

Picture decode_pnm(std::string_view bytes, const std::string& file) {
  const Header header = header_of(bytes, file);
  const std::size_t pixels = std::size_t{header.width} * header.height,
                    length = pixels * header.channels * header.value_bytes();
  check_sound(length <= bytes.size() - header.start, file,
              "cut short: it has fewer pixels than its size says");
  check_sound(bytes.find_first_not_of(kSpaces, header.start + length) == std::string_view::npos, file,
              "data follow its pixels");
  Picture picture{
      .width = static_cast<int>(header.width), .height = static_cast<int>(header.height), .pixels = {}};
  picture.pixels.reset(static_cast<std::uint8_t*>(std::calloc(pixels, 3)));
  check(picture.pixels != nullptr, "{} cannot be decoded: there is no memory for it.", file);
  for (std::size_t i = 0; i < 3 * pixels; ++i) {
    const std::size_t at = header.start + (header.channels == 3 ? i : i / 3) * header.value_bytes();
    const std::uint32_t value = header.value_bytes() == 1 ? byte_at(bytes, at) : big16(bytes, at);
    check_sound(value <= header.largest, file, "a value exceeds the maximum in its header");
    picture.pixels[i] = static_cast<std::uint8_t>((510 * value + header.largest) / (2 * header.largest));
  }
  return picture;
}

}  // namespace tdds
