#include "kernels/augment.h"

#include <algorithm>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/host_stream.h"
#include "kernels/philox.h"

namespace tdds::cpu {
namespace {

// Where the pixel (y, x) of the output lies in the flipped image: (y + down, x + right).
struct Placement {
  bool flip = false;
  std::int32_t down = 0, right = 0;
};

Placement draw(const AugmentArgs& args, std::int64_t id) {
  if (!args.enabled) return {};
  const PhiloxWords bits = philox(args.seed, Purpose::kAugment, static_cast<std::uint32_t>(args.state->epoch),
                                  static_cast<std::uint64_t>(id));
  const auto places = static_cast<std::uint32_t>(2 * args.padding + 1);
  return {(bits.w[0] >> 31) != 0, static_cast<std::int32_t>(scaled(bits.w[1], places)) - args.padding,
          static_cast<std::int32_t>(scaled(bits.w[2], places)) - args.padding};
}

template <class T>
void write_row(const AugmentArgs& args, const Placement& place, const std::uint8_t* image, std::int32_t y,
               T* out) {
  const std::int32_t from_y = y + place.down;
  const bool row_inside = from_y >= 0 && from_y < args.height;
  for (std::int32_t x = 0; x < args.width; ++x, out += args.channels_out) {
    const std::int32_t from_x = x + place.right;
    const bool inside = row_inside && from_x >= 0 && from_x < args.width;
    const std::int64_t column = place.flip ? args.width - 1 - from_x : from_x;
    const std::uint8_t* pixel = inside ? image + (from_y * std::int64_t{args.width} + column) * 3 : nullptr;
    for (int c = 0; c < 3; ++c) out[c] = from_float<T>(args.table[c * 256 + (pixel ? pixel[c] : 0)]);
    std::fill(out + 3, out + args.channels_out, T{});
  }
}

template <class T>
void augment_batch(const AugmentArgs& args, T* x) {
  const std::int64_t pixels = std::int64_t{args.height} * args.width;
  parallel_for(args.batch, [&](std::int64_t b) {
    const std::int64_t id = args.order[args.state->cursor + b];
    const Placement place = draw(args, id);
    for (std::int32_t y = 0; y < args.height; ++y)
      write_row(args, place, args.images + (args.gathered ? b : id) * pixels * 3, y,
                x + (b * pixels + std::int64_t{y} * args.width) * args.channels_out);
  });
}

void run_augment(const AugmentArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) { augment_batch(args, static_cast<T*>(args.x)); });
}

}  // namespace

void augment(Stream& stream, const AugmentArgs& args) {
  check_storage("augment", "activations", args.dtype);
  check(args.batch > 0 && args.height > 0 && args.width > 0,
        "augment: {} images of {} x {}; every extent is at least 1", args.batch, args.height, args.width);
  check(args.channels_out >= 3, "augment: {} output channels cannot hold the 3 of an image",
        args.channels_out);
  check(args.padding >= 0, "augment: a padding of {}; give at least 0", args.padding);
  check(args.images && args.order && args.state && args.table && args.x, "augment: no pointer may be null");
  enqueue(stream, "augment", args, run_augment);
}

}  // namespace tdds::cpu
