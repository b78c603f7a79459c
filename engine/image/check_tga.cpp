#include <algorithm>

#include "engine/image/image_bytes.h"
#include "engine/image/image_checks.h"
#include "engine/image/picture.h"

namespace tdds {

namespace {

constexpr std::size_t kHeader = 18;
constexpr std::string_view kFooter("TRUEVISION-XFILE.\0", 18);

struct Tga {
  bool palette, packed;
  std::uint32_t kind, colours, colour_bits, bits;
  std::size_t width, height;

  std::size_t pixel_bytes() const { return (bits + 7) / 8; }
  std::size_t colour_bytes() const { return palette ? (colour_bits + 7) / 8 : 0; }
};

Tga header_of(std::string_view bytes, const std::string& file) {
  const Tga tga{.palette = byte_at(bytes, 1) == 1,
                .packed = (byte_at(bytes, 2) & 8) != 0,
                .kind = byte_at(bytes, 2) & 7,
                .colours = little16(bytes, 5),
                .colour_bits = byte_at(bytes, 7),
                .bits = byte_at(bytes, 16),
                .width = little16(bytes, 12),
                .height = little16(bytes, 14)};
  const auto is_one_of = [](std::uint32_t value, std::initializer_list<std::uint32_t> values) {
    return std::find(values.begin(), values.end(), value) != values.end();
  };
  check_size(static_cast<std::int64_t>(tga.width), static_cast<std::int64_t>(tga.height), file);
  check_sound(tga.kind == 2 ? is_one_of(tga.bits, {15, 16, 24, 32}) : is_one_of(tga.bits, {8, 16}), file,
              "its header has a number of bits that TGA does not allow");
  check_sound((byte_at(bytes, 17) & 0xC0) == 0, file, "its header has a bit set that TGA reserves");
  if (!tga.palette) return tga;
  check_sound(tga.colours > 0 && is_one_of(tga.colour_bits, {15, 16, 24, 32}), file,
              "its palette is empty or has a number of bits that TGA does not allow");
  check(little16(bytes, 3) == 0,
        "{} is a TGA whose palette does not begin with colour 0, which is not read: convert it to PNG, or "
        "remove it.",
        file);
  return tga;
}

// Walks over the pixels, raw or run-length encoded, to find where they end.
class Walker {
 public:
  Walker(std::string_view bytes, const Tga& tga, std::size_t at, const std::string& file)
      : bytes_(bytes), tga_(tga), at_(at), file_(file) {}

  std::size_t end() {
    const std::size_t count = tga_.width * tga_.height;
    if (!tga_.packed) {
      take(count);
      return at_;
    }
    for (std::size_t seen = 0; seen < count;) {
      check_sound(at_ < bytes_.size(), file_, kCut);
      const std::uint32_t packet = byte_at(bytes_, at_++);
      const std::size_t pixels = (packet & 127) + 1;
      check_sound(pixels <= count - seen, file_, "more pixels than its size says");
      take((packet & 128) != 0 ? 1 : pixels);
      seen += pixels;
    }
    return at_;
  }

 private:
  static constexpr std::string_view kCut = "cut short: it has fewer pixels than its size says";

  void take(std::size_t pixels) {
    const std::size_t length = tga_.pixel_bytes();
    check_sound(at_ <= bytes_.size() && pixels <= (bytes_.size() - at_) / length, file_, kCut);
    for (std::size_t i = 0; tga_.palette && i < pixels; ++i) {
      const std::size_t pixel = at_ + i * length;
      const std::uint32_t colour = length == 1 ? byte_at(bytes_, pixel) : little16(bytes_, pixel);
      check_sound(colour < tga_.colours, file_, "a pixel has a colour that the palette lacks");
    }
    at_ += pixels * length;
  }

  std::string_view bytes_;
  const Tga& tga_;
  std::size_t at_;
  const std::string& file_;
};

}  // namespace

void check_tga(std::string_view bytes, const std::string& file) {
  const Tga tga = header_of(bytes, file);
  const std::size_t start = kHeader + byte_at(bytes, 0) + tga.colours * tga.colour_bytes();
  check_sound(start <= bytes.size(), file, "cut short within its header");
  const std::size_t end = Walker(bytes, tga, start, file).end();
  check_sound(end == bytes.size() || bytes.substr(end).ends_with(kFooter), file,
              "data follow its pixels, and the file does not end with a TGA footer");
}

bool is_mirrored_tga(std::string_view bytes) {
  return (byte_at(bytes, 17) & 0x10) != 0;
}

}  // namespace tdds
