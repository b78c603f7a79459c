#include "kernels/ops/augment.h"

#include <algorithm>

#include "kernels/cpu/storage.h"
#include "kernels/numerics/crop_box.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

PhiloxWords bits_of(const AugmentArgs& args, std::int64_t id) {
  return philox(args.seed, Purpose::kAugment, static_cast<std::uint32_t>(args.state->epoch),
                static_cast<std::uint64_t>(id));
}

// Output pixel (y, x) is pixel (y + down, x + right) of the flipped image.
struct Placement {
  bool flip = false;
  std::int32_t down = 0, right = 0;
};

Placement draw(const AugmentArgs& args, std::int64_t id) {
  if (args.crop == Crop::kCentre)
    return {false, (args.height - args.out_height) / 2, (args.width - args.out_width) / 2};
  const PhiloxWords bits = bits_of(args, id);
  const auto offset = [&](std::uint32_t word, std::int32_t extent, std::int32_t out) {
    const auto places = static_cast<std::uint32_t>(extent + 2 * args.padding - out + 1);
    return static_cast<std::int32_t>(scaled(word, places)) - args.padding;
  };
  return {(bits.w[0] >> 31) != 0, offset(bits.w[1], args.height, args.out_height),
          offset(bits.w[2], args.width, args.out_width)};
}

template <class T>
void write_pixel(const AugmentArgs& args, const std::uint8_t* pixel, T* out) {
  for (int c = 0; c < 3; ++c) out[c] = from_float<T>(args.table[c * 256 + pixel[c]]);
  std::fill(out + 3, out + args.channels_out, T{});
}

template <class T>
void move_image(const AugmentArgs& args, const std::uint8_t* image, std::int64_t id, T* out) {
  static constexpr std::uint8_t kOutside[3] = {};
  const Placement place = draw(args, id);
  for (std::int32_t y = 0; y < args.out_height; ++y) {
    const std::int32_t from_y = y + place.down;
    const bool row_inside = from_y >= 0 && from_y < args.height;
    for (std::int32_t x = 0; x < args.out_width; ++x, out += args.channels_out) {
      const std::int32_t from_x = x + place.right;
      const bool inside = row_inside && from_x >= 0 && from_x < args.width;
      const std::int64_t column = place.flip ? args.width - 1 - from_x : from_x;
      write_pixel(args, inside ? image + (from_y * std::int64_t{args.width} + column) * 3 : kOutside, out);
    }
  }
}

template <class T>
void resize_image(const AugmentArgs& args, const std::uint8_t* image, std::int64_t id, T* out) {
  const CropBox box = draw_crop_box(args.seed, static_cast<std::uint32_t>(args.state->epoch),
                                    static_cast<std::uint64_t>(id), args.height, args.width, args.aspects);
  const bool flip = (bits_of(args, id).w[0] >> 31) != 0;
  const auto at = [&](std::int32_t y, std::int32_t x) {
    return image + ((box.top + y) * std::int64_t{args.width} + box.left + x) * 3;
  };
  for (std::int32_t y = 0; y < args.out_height; ++y) {
    const Between rows = place_between(y, args.out_height, box.height);
    for (std::int32_t x = 0; x < args.out_width; ++x, out += args.channels_out) {
      const Between columns = place_between(flip ? args.out_width - 1 - x : x, args.out_width, box.width);
      const std::uint8_t *a = at(rows.low, columns.low), *b = at(rows.low, columns.next);
      const std::uint8_t *c = at(rows.next, columns.low), *d = at(rows.next, columns.next);
      std::uint8_t pixel[3];
      for (int k = 0; k < 3; ++k) pixel[k] = blend(a[k], b[k], c[k], d[k], rows, columns);
      write_pixel(args, pixel, out);
    }
  }
}

template <class T>
void augment_batch(const AugmentArgs& args, T* x) {
  const std::int64_t pixels = std::int64_t{args.height} * args.width;
  const std::int64_t outputs = std::int64_t{args.out_height} * args.out_width * args.channels_out;
  // A pixel is gathered, looked up and, for kResized, blended from four.
  constexpr std::int64_t kWorkAnOutput = 4;
  parallel_for(args.batch, kWorkAnOutput * outputs, [&](std::int64_t b) {
    const std::int64_t id = args.order[args.state->cursor + b];
    const std::uint8_t* image = args.images + (args.gathered ? b : id) * pixels * 3;
    if (args.crop == Crop::kResized)
      resize_image(args, image, id, x + b * outputs);
    else
      move_image(args, image, id, x + b * outputs);
  });
}

}  // namespace

template <>
void run(const AugmentArgs& args) {
  std::fill_n(args.tickets, args.ticket_count, 0);
  with_storage(args.dtype, [&]<class T>(T) { augment_batch(args, static_cast<T*>(args.x)); });
}

}  // namespace tdds::cpu
