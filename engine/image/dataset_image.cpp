#include "engine/dataset_image.h"

#include <stb/stb_image.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

#include "engine/dataset_resize.h"
#include "engine/exif.h"
#include "engine/jpeg_tables.h"
#include "kernels/check.h"

namespace tdds {

namespace {

constexpr std::int64_t kMaxPixels = 100'000'000;

// stb_image fills what is missing of a truncated JPEG with grey: it must have an end after its last scan begins.
bool is_truncated_jpeg(std::string_view bytes) {
  if (!bytes.starts_with("\xff\xd8")) return false;
  const std::size_t scan = bytes.rfind("\xff\xda"), end = bytes.rfind("\xff\xd9");
  return scan == std::string_view::npos || end == std::string_view::npos || end < scan;
}

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

// stb leaves the reason null where it only found no format that fits.
const char* failure_reason() {
  const char* reason = stbi_failure_reason();
  return reason != nullptr ? reason : "of no known format";
}

}  // namespace

std::vector<std::uint8_t> decode_image(std::string_view bytes, const std::string& file, int size,
                                       bool exif_rotate) {
  check(!bytes.empty(), "{} is empty: restore or remove it.", file);
  check(bytes.size() <= std::size_t{1} << 30, "{} is longer than 1 GiB: it is no image.", file);
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int length = static_cast<int>(bytes.size());
  check(!has_overlong_huffman_table(bytes), "{} is damaged (bad Huffman table): restore or remove it.", file);
  int width = 0, height = 0, channels = 0;
  check(stbi_info_from_memory(data, length, &width, &height, &channels) == 1 && width > 0 && height > 0,
        "{} is no readable image ({}): restore or remove it.", file, failure_reason());
  check(static_cast<std::int64_t>(width) * height <= kMaxPixels,
        "{} announces {} x {} pixels, more than {}: remove it.", file, width, height, kMaxPixels);
  check(!is_truncated_jpeg(bytes), "{} is a truncated JPEG: restore or remove it.", file);
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, length, &width, &height, &channels, 3), stbi_image_free);
  check(pixels != nullptr, "{} is damaged ({}): restore or remove it.", file, failure_reason());
  std::vector<std::uint8_t> turned;
  const std::uint8_t* image = pixels.get();
  if (const int orientation = exif_rotate ? exif_orientation(bytes) : 1; orientation != 1) {
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

bool has_image_name(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string::npos) return false;
  std::string end = path.substr(dot + 1);
  std::transform(end.begin(), end.end(), end.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 6> kEnds{"jpg", "jpeg", "png", "bmp", "ppm", "tga"};
  return std::find(kEnds.begin(), kEnds.end(), end) != kEnds.end();
}

}  // namespace tdds
