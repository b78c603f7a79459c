#include "engine/image/exif.h"

#include <algorithm>
#include <optional>

namespace tdds {

namespace {

// Reads numbers of a TIFF block in its byte order. Numbers outside the block are nullopt.
class Tiff {
 public:
  explicit Tiff(std::string_view block) : block_(block), little_(block.starts_with("II")) {}

  std::optional<std::uint32_t> number(std::size_t offset, std::size_t bytes) const {
    if (offset > block_.size() || block_.size() - offset < bytes) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t at = offset + (little_ ? bytes - 1 - i : i);
      value = value << 8 | static_cast<unsigned char>(block_[at]);
    }
    return value;
  }

  bool sound() const {
    return (block_.starts_with("II") || block_.starts_with("MM")) && number(2, 2).value_or(0) == 42;
  }

 private:
  std::string_view block_;
  bool little_;
};

int orientation_in(std::string_view block) {
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  constexpr std::size_t kEntry = 12;
  const Tiff tiff(block);
  if (!tiff.sound()) return 1;
  const std::size_t directory = tiff.number(4, 4).value_or(0);
  const std::size_t entries = tiff.number(directory, 2).value_or(0);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntry;
    if (tiff.number(at, 2).value_or(0) != kOrientation || tiff.number(at + 2, 2).value_or(0) != kShort)
      continue;
    const std::uint32_t value = tiff.number(at + 8, 2).value_or(1);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace

int exif_orientation(std::string_view bytes) {
  constexpr unsigned char kStartOfScan = 0xDA, kApp1 = 0xE1;
  if (!bytes.starts_with("\xff\xd8")) return 1;
  // Segments: FF, marker, two bytes of length that count themselves, data.
  for (std::size_t at = 2; at + 4 <= bytes.size();) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
    if (byte(0) != 0xFF || byte(1) == kStartOfScan) return 1;
    const std::size_t length = static_cast<std::size_t>(byte(2)) << 8 | byte(3);
    if (length < 2 || length > bytes.size() - at - 2) return 1;
    const std::string_view data = bytes.substr(at + 4, length - 2);
    constexpr std::string_view kName("Exif\0\0", 6);
    if (byte(1) == kApp1 && data.starts_with(kName)) return orientation_in(data.substr(kName.size()));
    at += 2 + length;
  }
  return 1;
}

std::vector<std::uint8_t> turn_upright(const std::uint8_t* pixels, int& width, int& height, int orientation) {
  // Orientations 5 to 8 exchange rows and columns. Mirroring refers to the axes of the upright image.
  const bool exchanged = orientation >= 5;
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const int out_width = exchanged ? height : width, out_height = exchanged ? width : height;
  std::vector<std::uint8_t> out;
  out.reserve(std::size_t{3} * out_width * out_height);
  for (int y = 0; y < out_height; ++y)
    for (int x = 0; x < out_width; ++x) {
      const int across = mirror_x ? out_width - 1 - x : x, down = mirror_y ? out_height - 1 - y : y;
      const std::int64_t from =
          exchanged ? std::int64_t{across} * width + down : std::int64_t{down} * width + across;
      out.insert(out.end(), pixels + 3 * from, pixels + 3 * from + 3);
    }
  width = out_width;
  height = out_height;
  return out;
}

}  // namespace tdds
