#include "kernels/ops/augment.h"

#include "kernels/ops/dispatch.h"

namespace tdds {
namespace {

bool fits(const AugmentArgs& a) {
  const bool positive = a.batch > 0 && a.height > 0 && a.width > 0 && a.out_height > 0 && a.out_width > 0;
  if (!positive || a.padding < 0 || a.channels_out < 3) return false;
  if (a.crop == Crop::kResized)
    return a.height <= 4096 && a.width <= 4096 && a.out_height <= 4096 && a.out_width <= 4096;
  const std::int32_t around = a.crop == Crop::kPadded ? 2 * a.padding : 0;
  return a.out_height <= a.height + around && a.out_width <= a.width + around;
}

}  // namespace

const char* to_string(Crop crop) {
  return crop == Crop::kCentre ? "none" : crop == Crop::kPadded ? "padded" : "resized";
}

void augment(Stream& stream, const AugmentArgs& args) {
  check_type(stream, "augment", args.dtype);
  check(fits(args),
        "augment: cannot take a crop of {} x {} x {} with a padding of {} from {} images of {} x {}",
        args.out_height, args.out_width, args.channels_out, args.padding, args.batch, args.height,
        args.width);
  check(args.images && args.order && args.state && args.table && args.x &&
            (args.aspects || args.crop != Crop::kResized),
        "augment: pointers must not be null");
  const double pixels = 1.0 * args.batch * args.out_height * args.out_width;
  dispatch(stream, "augment", args, 3 * pixels + bytes_of(args.dtype, pixels * args.channels_out));
}

void fill_normalize_table(float* table, const float mean[3], const float std[3]) {
  for (int c = 0; c < 3; ++c)
    for (int u = 0; u < 256; ++u) table[c * 256 + u] = (static_cast<float>(u) / 255.0f - mean[c]) / std[c];
}

}  // namespace tdds
