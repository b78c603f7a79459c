#include "apps/report/sprite_sheet.h"

#include <stb/stb_image_write.h>

#include <algorithm>
#include <cstring>

#include "engine/image/dataset_resize.h"
#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"

namespace tdds::report {
namespace {

constexpr int kMaxColumns = 32, kMaxPixels = 64;

void append(void* png, void* bytes, int count) {
  static_cast<std::string*>(png)->append(static_cast<const char*>(bytes), static_cast<std::size_t>(count));
}

}  // namespace

SpriteSheet make_sprite_sheet(const ImageSet& set, std::span<const std::int32_t> rows) {
  SpriteSheet sprite;
  const int count = static_cast<int>(rows.size());
  check(count > 0, "there is no image to put into the report");
  const int longer = std::max(set.width, set.height);
  const bool shrink = longer > kMaxPixels;
  sprite.width = shrink ? std::max(1, set.width * kMaxPixels / longer) : set.width;
  sprite.height = shrink ? std::max(1, set.height * kMaxPixels / longer) : set.height;
  sprite.columns = std::min(count, kMaxColumns);
  sprite.rows = ceil_div(count, sprite.columns);

  const auto image_row = 3 * static_cast<std::size_t>(sprite.width);
  const auto stride = image_row * static_cast<std::size_t>(sprite.columns);
  std::vector<std::uint8_t> pixels(stride * static_cast<std::size_t>(sprite.height) *
                                   static_cast<std::size_t>(sprite.rows));
  for (int i = 0; i < count; ++i) {
    std::vector<std::uint8_t> image(static_cast<std::size_t>(set.image_bytes()));
    set.read_image(rows[static_cast<std::size_t>(i)], image.data());
    if (shrink) image = resize_image(image.data(), set.width, set.height, sprite.width, sprite.height);
    const std::size_t top =
        static_cast<std::size_t>(i / sprite.columns) * static_cast<std::size_t>(sprite.height);
    const std::size_t left = image_row * static_cast<std::size_t>(i % sprite.columns);
    for (std::size_t y = 0; y < static_cast<std::size_t>(sprite.height); ++y)
      std::memcpy(pixels.data() + (top + y) * stride + left, image.data() + y * image_row, image_row);
  }
  check(stbi_write_png_to_func(append, &sprite.png, sprite.columns * sprite.width,
                               sprite.rows * sprite.height, 3, pixels.data(), static_cast<int>(stride)) != 0,
        "the report's images could not be encoded for lack of memory; show fewer (--images)");
  return sprite;
}

}  // namespace tdds::report
