#include "engine/image/image_format.h"

#include <algorithm>
#include <array>

#include "engine/image/image_bytes.h"

namespace tdds {

namespace {

struct Signature {
  std::string_view name, start;
  std::size_t second_at = 0;
  std::string_view second = {};  // expected at second_at
};

using namespace std::string_view_literals;

constexpr Signature kNotRead[] = {
    {"GIF", "GIF87a"sv},
    {"GIF", "GIF89a"sv},
    {"PSD", "8BPS"sv},
    {"HDR (Radiance)", "#?RADIANCE"sv},
    {"HDR (Radiance)", "#?RGBE"sv},
    {"PIC (Softimage)", "\x53\x80\xF6\x34"sv},
    {"WebP", "RIFF"sv, 8, "WEBP"sv},
    {"TIFF", "II*\0"sv},
    {"TIFF", "MM\0*"sv},
    {"BigTIFF", "II+\0"sv},
    {"BigTIFF", "MM\0+"sv},
    {"AVIF", ""sv, 4, "ftypavif"sv},
    {"HEIC", ""sv, 4, "ftypheic"sv},
    {"HEIC", ""sv, 4, "ftypmif1"sv},
    {"JPEG 2000", "\0\0\0\x0CjP  "sv},
    {"JPEG 2000", "\xFF\x4F\xFF\x51"sv},
    {"JPEG XL", "\0\0\0\x0CJXL "sv},
    {"JPEG XL", "\xFF\x0A"sv},
    {"MNG", "\x8AMNG\r\n\x1A\n"sv},
    {"ICO", "\0\0\1\0"sv},
    {"QOI", "qoif"sv},
    {"OpenEXR", "\x76\x2F\x31\x01"sv},
    {"farbfeld", "farbfeld"sv},
    {"PAM", "P7\n"sv},
};

bool fits(std::string_view bytes, const Signature& signature) {
  return bytes.starts_with(signature.start) && bytes.size() >= signature.second_at &&
         bytes.substr(signature.second_at).starts_with(signature.second);
}

bool is_pnm(std::string_view bytes, char first, char last) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r#";
  return bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= first && bytes[1] <= last &&
         kSpaces.find(bytes[2]) != std::string_view::npos;
}

// TGA has no signature: these fields of its header distinguish it from other data.
bool may_be_tga(std::string_view bytes) {
  constexpr std::size_t kHeader = 18;
  if (bytes.size() < kHeader) return false;
  const std::uint32_t has_palette = byte_at(bytes, 1), kind = byte_at(bytes, 2) & ~8u;
  return (has_palette == 1 && kind == 1) || (has_palette == 0 && (kind == 2 || kind == 3));
}

}  // namespace

ImageFormat image_format(std::string_view bytes, const std::string& file) {
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return ImageFormat::kJpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1A\n"sv)) return ImageFormat::kPng;
  if (bytes.starts_with("BM"sv)) return ImageFormat::kBmp;
  if (is_pnm(bytes, '5', '6')) return ImageFormat::kPnm;
  const auto* other = std::find_if(std::begin(kNotRead), std::end(kNotRead),
                                   [&](const Signature& signature) { return fits(bytes, signature); });
  check(other == std::end(kNotRead),
        "{} is a {} file by its content, which is not read: convert it to PNG, or remove it.", file,
        other == std::end(kNotRead) ? "" : other->name);
  check(!is_pnm(bytes, '1', '4'),
        "{} is a PNM file of text or of single bits, which is not read: convert it to PNG, or remove it.",
        file);
  check(may_be_tga(bytes), "{} is not a readable image (unknown format): restore or remove it.", file);
  return ImageFormat::kTga;
}

}  // namespace tdds
