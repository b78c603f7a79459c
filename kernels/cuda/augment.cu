// Gather, flip, crop, normalise, cast and pad the channels of a batch; contract in kernels/augment.h.
//
// Parallel over: pixels of the output, one a thread; a block stays within one image.
// Held in:       registers; the table of 3 KiB in L1.
// Bytes per row: a pixel costs 3 bytes read and channels_out values written, in 16-byte stores where they fit.
// Deterministic: a pixel is a function of (seed, epoch, id, place) alone; equal bits on every device.

#include "kernels/augment.h"

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/vectors.h"
#include "kernels/philox.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 128;

// Where the pixel (y, x) of the output lies in the flipped image: (y + down, x + right).
struct Placement {
  bool flip;
  std::int32_t down, right;
};

__device__ Placement draw(const AugmentArgs& args, std::int64_t id) {
  if (!args.enabled) return {false, 0, 0};
  const PhiloxWords bits = philox(args.seed, Purpose::kAugment, static_cast<std::uint32_t>(args.state->epoch),
                                  static_cast<std::uint64_t>(id));
  const std::uint32_t places = 2 * args.padding + 1;
  return {(bits.w[0] >> 31) != 0, static_cast<std::int32_t>(scaled(bits.w[1], places)) - args.padding,
          static_cast<std::int32_t>(scaled(bits.w[2], places)) - args.padding};
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

template <class T>
__global__ void __launch_bounds__(kThreads) augment_kernel(AugmentArgs args, std::uint32_t blocks_per_image) {
  const std::int64_t b = block_id().x / blocks_per_image;
  const std::int32_t pixels = args.height * args.width;
  const std::int32_t pixel = block_id().x % blocks_per_image * block_dim().x + thread_id().x;
  if (pixel >= pixels) return;
  const std::int64_t id = args.order[args.state->cursor + b];
  const Placement place = draw(args, id);
  const std::int32_t y = pixel / args.width + place.down, x = pixel % args.width + place.right;
  const bool inside = y >= 0 && y < args.height && x >= 0 && x < args.width;
  const std::int32_t column = place.flip ? args.width - 1 - x : x;
  const std::uint8_t* from = args.images + ((args.gathered ? b : id) * pixels + y * args.width + column) * 3;
  Floats<3> color;
  for (int c = 0; c < 3; ++c) color.v[c] = args.table[c * 256 + (inside ? from[c] : 0)];
  write_pixel(static_cast<T*>(args.x) + (b * pixels + pixel) * args.channels_out, color, args.channels_out);
}

}  // namespace

void augment(Stream& stream, const AugmentArgs& args) {
  const char* name = "augment";
  if (args.batch <= 0 || args.height <= 0 || args.width <= 0) reject(name, "every extent is at least 1");
  if (args.channels_out < 3) reject(name, "channels_out must hold the 3 channels of an image");
  if (args.padding < 0) reject(name, "the padding is at least 0");
  if (!args.images || !args.order || !args.state || !args.table || !args.x)
    reject(name, "no pointer may be null");
  const std::uint32_t per_image = blocks_for(std::int64_t{args.height} * args.width, kThreads);
  with_float_type(name, args.dtype, [&](auto zero) {
    launch(stream, name, augment_kernel<decltype(zero)>,
           {blocks_for(std::int64_t{args.batch} * per_image, 1)}, {kThreads}, 0, args, per_image);
  });
}

}  // namespace tdds::TDDS_GPU
