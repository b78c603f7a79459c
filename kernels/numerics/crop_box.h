#pragma once
// The box of torchvision's RandomResizedCrop: its area is a uniform share, 8 % to 100 %, of the image's area,
// its ratio of width to height is log-uniform from 3/4 to 4/3, and its position is uniform. Up to ten boxes
// are drawn until one fits; otherwise it is the largest centred box with a ratio in that range. All
// arithmetic is in integers, so the bits are equal on every device.

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/numerics/philox.h"

namespace tdds {

struct CropBox {
  std::int32_t top, left, height, width;
};

inline constexpr std::uint32_t kAspects = 1024;

// Aspect i is (3/4)^(1-u) (4/3)^u with u = (i + 1/2) / 1024, in units of 1/65536: log-uniform for a uniform
// i. Aspect 1023 - i is 1 over aspect i.
inline std::array<std::uint32_t, kAspects> crop_aspects() {
  std::array<std::uint32_t, kAspects> aspects{};
  for (std::uint32_t i = 0; i < kAspects; ++i)
    aspects[i] =
        static_cast<std::uint32_t>(std::lround(65536 * std::pow(4.0 / 3.0, 2 * (i + 0.5) / kAspects - 1)));
  return aspects;
}

constexpr std::uint32_t integer_root(std::uint64_t x) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 31; bit; bit >>= 1)
    if ((root + bit) * (root + bit) <= x) root += bit;
  return static_cast<std::uint32_t>(root);
}

// The root of area * share / 2^16 * aspect / 2^16, rounded to a whole number.
constexpr std::int32_t box_side(std::uint32_t area, std::uint32_t share, std::uint32_t aspect) {
  const std::uint64_t squared = std::uint64_t{area} * share * aspect;
  return static_cast<std::int32_t>((integer_root(squared >> 30) + 1) / 2);
}

constexpr CropBox fallback_box(std::int32_t height, std::int32_t width) {
  const std::int32_t h = 3 * height > 4 * width ? (4 * width + 1) / 3 : height;
  const std::int32_t w = 3 * width > 4 * height ? (4 * height + 1) / 3 : width;
  return {(height - h) / 2, (width - w) / 2, h, w};
}

// `aspects` is crop_aspects(), in memory that the caller can read. Images have at most 4096 x 4096 pixels.
constexpr CropBox draw_crop_box(std::uint64_t seed, std::uint32_t epoch, std::uint64_t id,
                                std::int32_t height, std::int32_t width, const std::uint32_t* aspects) {
  constexpr std::uint32_t kAttempts = 10, kWhole = 65536, kSmallest = 5243;  // 8 % of kWhole
  const std::uint32_t area = static_cast<std::uint32_t>(height) * static_cast<std::uint32_t>(width);
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    const PhiloxWords bits = philox(seed, Purpose::kCropBox, epoch, id * kAttempts + attempt);
    const std::uint32_t share = kSmallest + scaled(bits.w[0], kWhole - kSmallest + 1);
    const std::uint32_t aspect = scaled(bits.w[1], kAspects);
    const std::int32_t w = box_side(area, share, aspects[aspect]);
    const std::int32_t h = box_side(area, share, aspects[kAspects - 1 - aspect]);
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return {static_cast<std::int32_t>(scaled(bits.w[2], static_cast<std::uint32_t>(height - h + 1))),
            static_cast<std::int32_t>(scaled(bits.w[3], static_cast<std::uint32_t>(width - w + 1))), h, w};
  }
  return fallback_box(height, width);
}

// The source position of pixel `i` of `out` along a side of `n` pixels: `part` / 256 of the way from `low` to
// `next`. Pixel centres are at halves, as in torch.nn.functional.interpolate(align_corners=False).
struct Between {
  std::int32_t low, next, part;
};
constexpr Between place_between(std::int32_t i, std::int32_t out, std::int32_t n) {
  // Fits into 32 bits unsigned: 8191 * 4096 * 128 is below 2^32.
  const std::uint32_t twice = static_cast<std::uint32_t>(2 * i + 1) * static_cast<std::uint32_t>(n) * 128;
  const std::int32_t at = static_cast<std::int32_t>(twice / static_cast<std::uint32_t>(out)) - 128;
  if (at <= 0) return {0, 0, 0};
  const std::int32_t low = at / 256;
  if (low >= n - 1) return {n - 1, n - 1, 0};
  return {low, low + 1, at % 256};
}

// Bilinear interpolation, rounded: a, b are in the upper row, c, d in the lower row.
constexpr std::uint8_t blend(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, const Between& y,
                             const Between& x) {
  const std::int32_t upper = a * (256 - x.part) + b * x.part, lower = c * (256 - x.part) + d * x.part;
  return static_cast<std::uint8_t>((upper * (256 - y.part) + lower * y.part + 32768) >> 16);
}

}  // namespace tdds
