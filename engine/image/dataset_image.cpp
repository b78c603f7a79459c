#include "engine/image/dataset_image.h"

#include <algorithm>
#include <array>

#include "engine/image/check_jpeg.h"
#include "engine/image/dataset_resize.h"
#include "engine/image/exif.h"
#include "engine/image/image_checks.h"
#include "engine/image/image_format.h"
#include "engine/image/pnm.h"
#include "engine/image/stb_decoder.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

std::vector<std::uint8_t> centre_crop(const std::vector<std::uint8_t>& pixels, int width, int height,
                                      int size) {
  std::vector<std::uint8_t> out;
  out.reserve(std::size_t{3} * size * size);
  const int left = (width - size) / 2, top = (height - size) / 2;
  for (int y = 0; y < size; ++y) {
    const auto row = pixels.begin() + 3 * (static_cast<std::ptrdiff_t>(top + y) * width + left);
    out.insert(out.end(), row, row + 3 * size);
  }
  return out;
}

Picture decode_checked(std::string_view bytes, const std::string& file, bool& ends_early) {
  switch (image_format(bytes, file)) {
    case ImageFormat::kJpeg: {
      const CheckedJpeg checked = check_jpeg(bytes, file);
      ends_early = checked.ends_early;
      return stb_decode(checked.rewritten.empty() ? bytes : checked.rewritten, file);
    }
    case ImageFormat::kPng: {
      check_png(bytes, file);
      const std::string whole = with_whole_palette(bytes);
      return stb_decode(whole.empty() ? bytes : whole, file);
    }
    case ImageFormat::kBmp:
      check_bmp(bytes, file);
      return stb_decode(bytes, file);
    case ImageFormat::kTga:
      check_tga(bytes, file);
      return stb_decode(bytes, file);
    case ImageFormat::kPnm:
      break;
  }
  return decode_pnm(bytes, file);
}

// The orientation to correct, as EXIF numbers it.
int orientation_of(std::string_view bytes, bool exif_rotate) {
  constexpr int kUpright = 1, kMirrored = 2;
  if (image_format(bytes, "") == ImageFormat::kTga && is_mirrored_tga(bytes)) return kMirrored;
  return exif_rotate ? exif_orientation(bytes) : kUpright;
}

}  // namespace

std::vector<std::uint8_t> decode_image(std::string_view bytes, const std::string& file, int size,
                                       bool exif_rotate, bool* ends_early) {
  check(!bytes.empty(), "{} is empty: restore or remove it.", file);
  check(bytes.size() <= std::size_t{1} << 30, "{} is longer than 1 GiB: it is not an image.", file);
  bool early = false;
  const Picture picture = decode_checked(bytes, file, early);
  if (ends_early != nullptr) *ends_early = early;
  int width = picture.width, height = picture.height;
  std::vector<std::uint8_t> turned;
  const std::uint8_t* image = picture.pixels.get();
  if (const int orientation = orientation_of(bytes, exif_rotate); orientation != 1) {
    turned = turn_upright(image, width, height, orientation);
    image = turned.data();
  }
  if (width == size && height == size) return {image, image + std::size_t{3} * size * size};
  const int shorter = std::min(width, height);
  const auto scaled = [&](int side) {
    return std::max(size, static_cast<int>((std::int64_t{side} * size + shorter / 2) / shorter));
  };
  check(std::int64_t{scaled(width)} * scaled(height) <= kMaxPixels,
        "{} has {} x {} pixels, too long and thin to scale to {}: remove it.", file, width, height, size);
  return centre_crop(resize_image(image, width, height, scaled(width), scaled(height)), scaled(width),
                     scaled(height), size);
}

std::string ending_of(const std::string& path) {
  const std::size_t dot = path.find_last_of("./");
  if (dot == std::string::npos || path[dot] == '/') return "";
  std::string end = path.substr(dot + 1);
  std::transform(end.begin(), end.end(), end.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return end;
}

bool has_image_name(const std::string& path) {
  constexpr std::array<std::string_view, 7> kEnds{"jpg", "jpeg", "png", "bmp", "ppm", "pgm", "tga"};
  return std::find(kEnds.begin(), kEnds.end(), ending_of(path)) != kEnds.end();
}

}  // namespace tdds
