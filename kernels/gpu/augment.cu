// Gather, flip, crop (and resize), normalise, cast and pad the channels of a batch; contract in
// kernels/ops/augment.h.
//
// Parallel over: pixels of the output, one per thread; a block stays within one image.
// Held in:       registers; the table of 3 KiB in L1.
// Bytes per row: per pixel, 3 bytes read and channels_out values written, in 16-byte stores where they fit.
// Deterministic: a pixel depends only on (seed, epoch, id, position); equal bits on every device.

#include "kernels/ops/augment.h"

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/vectors.h"
#include "kernels/numerics/crop_box.h"
#include "kernels/numerics/philox.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 128;

__device__ PhiloxWords bits_of(const AugmentArgs& args, std::int64_t id) {
  return philox(args.seed, Purpose::kAugment, static_cast<std::uint32_t>(args.state->epoch),
                static_cast<std::uint64_t>(id));
}

// Output pixel (y, x) is pixel (y + down, x + right) of the flipped image.
struct Placement {
  bool flip;
  std::int32_t down, right;
};

__device__ std::int32_t offset(std::uint32_t word, std::int32_t extent, std::int32_t out,
                               std::int32_t padding) {
  return static_cast<std::int32_t>(scaled(word, extent + 2 * padding - out + 1)) - padding;
}

__device__ Placement draw(const AugmentArgs& args, std::int64_t id) {
  if (args.crop == Crop::kCentre)
    return {false, (args.height - args.out_height) / 2, (args.width - args.out_width) / 2};
  const PhiloxWords bits = bits_of(args, id);
  return {(bits.w[0] >> 31) != 0, offset(bits.w[1], args.height, args.out_height, args.padding),
          offset(bits.w[2], args.width, args.out_width, args.padding)};
}

// A pixel of the cropped image, as floats.
__device__ Floats<3> moved_pixel(const AugmentArgs& args, const std::uint8_t* image, std::int64_t id,
                                 std::int32_t row, std::int32_t column) {
  const Placement place = draw(args, id);
  const std::int32_t y = row + place.down, x = column + place.right;
  const bool inside = y >= 0 && y < args.height && x >= 0 && x < args.width;
  const std::uint8_t* from = image + (y * args.width + (place.flip ? args.width - 1 - x : x)) * 3;
  Floats<3> color;
  for (int c = 0; c < 3; ++c) color.v[c] = args.table[c * 256 + (inside ? from[c] : 0)];
  return color;
}

// A pixel of the resized box, as floats.
__device__ Floats<3> resized_pixel(const AugmentArgs& args, const std::uint8_t* image, std::int64_t id,
                                   std::int32_t row, std::int32_t column) {
  const CropBox box = draw_crop_box(args.seed, static_cast<std::uint32_t>(args.state->epoch),
                                    static_cast<std::uint64_t>(id), args.height, args.width, args.aspects);
  const bool flip = (bits_of(args, id).w[0] >> 31) != 0;
  const Between y = place_between(row, args.out_height, box.height);
  const Between x = place_between(flip ? args.out_width - 1 - column : column, args.out_width, box.width);
  const std::uint8_t* corner = image + (box.top * args.width + box.left) * 3;
  Floats<3> color;
  for (int c = 0; c < 3; ++c) {
    const auto at = [&](std::int32_t down, std::int32_t right) {
      return corner[(down * args.width + right) * 3 + c];
    };
    const std::uint8_t value =
        blend(at(y.low, x.low), at(y.low, x.next), at(y.next, x.low), at(y.next, x.next), y, x);
    color.v[c] = args.table[c * 256 + value];
  }
  return color;
}

template <class T>
__device__ void write_pixel(T* out, const Floats<3>& color, std::int32_t channels) {
  const auto channel = [&](std::int32_t c) { return c == 0 ? color.v[0] : c == 1 ? color.v[1] : color.v[2]; };
  if (channels % kVector<T> == 0) {
    for (std::int32_t c = 0; c < channels; c += kVector<T>) {
      Floats<kVector<T>> values = filled<kVector<T>>(0);
      if (c == 0)
        for (int j = 0; j < 3; ++j) values.v[j] = color.v[j];
      store<kVector<T>>(out + c, values);
    }
  } else {
    for (std::int32_t c = 0; c < channels; ++c) out[c] = from_float<T>(c < 3 ? channel(c) : 0.0f);
  }
}

template <class T, bool kResized>
__global__ void __launch_bounds__(kThreads) augment_kernel(AugmentArgs args, std::uint32_t blocks_per_image) {
  wait_for_previous();
  const std::int64_t threads = static_cast<std::int64_t>(grid_dim().x) * block_dim().x;
  for (std::int64_t i = global_thread(); i < args.ticket_count; i += threads) args.tickets[i] = 0;
  const std::int64_t b = block_id().x / blocks_per_image;
  const std::int32_t pixels = args.out_height * args.out_width;
  const std::int32_t pixel = block_id().x % blocks_per_image * block_dim().x + thread_id().x;
  if (pixel >= pixels) return;
  const std::int64_t id = args.order[args.state->cursor + b];
  const std::uint8_t* image = args.images + (args.gathered ? b : id) * args.height * args.width * 3;
  const std::int32_t row = pixel / args.out_width, column = pixel % args.out_width;
  const Floats<3> color =
      kResized ? resized_pixel(args, image, id, row, column) : moved_pixel(args, image, id, row, column);
  write_pixel(static_cast<T*>(args.x) + (b * pixels + pixel) * args.channels_out, color, args.channels_out);
}

}  // namespace

template <>
void run(Stream& stream, const AugmentArgs& args) {
  const char* name = "augment";
  const bool resized = args.crop == Crop::kResized;
  const std::uint32_t per_image = blocks_for(std::int64_t{args.out_height} * args.out_width, kThreads);
  with_float_type(name, args.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, name, resized ? augment_kernel<T, true> : augment_kernel<T, false>,
           {blocks_for(std::int64_t{args.batch} * per_image, 1)}, {kThreads}, 0, args, per_image);
  });
}

}  // namespace tdds::TDDS_GPU
