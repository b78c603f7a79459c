#include <cstdlib>

#include "engine/image/image_bytes.h"
#include "engine/image/image_checks.h"
#include "engine/image/picture.h"

namespace tdds {

namespace {

constexpr std::size_t kFileHeader = 14, kOldHeader = 12;

struct Bmp {
  std::size_t data = 0, header = 0;
  std::int64_t width = 0, height = 0;
  std::uint32_t bits = 0, compression = 0;

  std::size_t row_bytes() const { return (static_cast<std::size_t>(width) * bits + 31) / 32 * 4; }
  // stb_image takes everything between the header and the pixels as the palette.
  std::size_t colours() const { return (data - kFileHeader - header) / 4; }
};

Bmp header_of(std::string_view bytes, const std::string& file) {
  check_sound(bytes.size() >= kFileHeader + kOldHeader, file, "cut short within its header");
  Bmp bmp{.data = little32(bytes, 10), .header = little32(bytes, 14)};
  const bool old = bmp.header == kOldHeader;
  check_sound(bytes.size() >= kFileHeader + bmp.header, file, "cut short within its header");
  check(old || bmp.header == 40 || bmp.header == 56 || bmp.header == 108 || bmp.header == 124,
        "{} is a BMP with a header of {} bytes, which is not read: convert it to PNG, or remove it.", file,
        bmp.header);
  if (old) {
    bmp.width = little16(bytes, 18);
    bmp.height = little16(bytes, 20);
  } else {
    bmp.width = static_cast<std::int32_t>(little32(bytes, 18));
    bmp.height = std::abs(std::int64_t{static_cast<std::int32_t>(little32(bytes, 22))});
    bmp.compression = little32(bytes, 30);
  }
  bmp.bits = little16(bytes, old ? 24 : 28);
  check_size(bmp.width, bmp.height, file);
  return bmp;
}

// Checks that the palette has every pixel's colour: for others, stb_image reads uninitialised memory.
void check_palette(std::string_view bytes, const Bmp& bmp, const std::string& file) {
  check(bmp.header != kOldHeader,
        "{} is an OS/2 BMP with a palette, which is not read: convert it to PNG, or remove it.", file);
  const std::size_t colours = bmp.colours();
  check_sound(colours >= 1 && colours <= 256, file, "it has no palette or one of more than 256 colours");
  if (colours >= std::size_t{1} << bmp.bits) return;
  const std::uint32_t per_byte = 8 / bmp.bits, mask = (1u << bmp.bits) - 1;
  for (std::int64_t y = 0; y < bmp.height; ++y)
    for (std::int64_t x = 0; x < bmp.width; ++x) {
      const std::uint32_t byte = byte_at(bytes, bmp.data + static_cast<std::size_t>(y) * bmp.row_bytes() +
                                                    static_cast<std::size_t>(x) / per_byte);
      const std::uint32_t shift = 8 - bmp.bits * (static_cast<std::uint32_t>(x) % per_byte + 1);
      check_sound((byte >> shift & mask) < colours, file, "a pixel has a colour that the palette lacks");
    }
}

}  // namespace

void check_bmp(std::string_view bytes, const std::string& file) {
  const Bmp bmp = header_of(bytes, file);
  check(bmp.compression == 0 || bmp.compression == 3,
        "{} is a compressed BMP, which is not read: convert it to PNG, or remove it.", file);
  check_sound(
      bmp.bits == 1 || bmp.bits == 4 || bmp.bits == 8 || bmp.bits == 16 || bmp.bits == 24 || bmp.bits == 32,
      file, "its header has a number of bits that BMP does not allow");
  check_sound(bmp.data >= kFileHeader + bmp.header && bmp.data <= bytes.size(), file,
              "its pixels lie outside the file");
  check_sound(static_cast<std::size_t>(bmp.height) <= (bytes.size() - bmp.data) / bmp.row_bytes(), file,
              "cut short: it has fewer pixels than its size says");
  if (bmp.bits <= 8) check_palette(bytes, bmp, file);
}

}  // namespace tdds
