#include "kernels/ops/pool.h"

#include <algorithm>

#include "kernels/cpu/storage.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

// Channels summed at a time.
constexpr std::int64_t kTile = 256;

template <class T>
void average_image(const T* x, std::int64_t positions, std::int64_t channels, float* y) {
  double sum[kTile];
  for (std::int64_t c0 = 0; c0 < channels; c0 += kTile) {
    const std::int64_t width = std::min(kTile, channels - c0);
    std::fill_n(sum, width, 0.0);
    for (std::int64_t p = 0; p < positions; ++p)
      for (std::int64_t c = 0; c < width; ++c) sum[c] += to_float(x[p * channels + c0 + c]);
    for (std::int64_t c = 0; c < width; ++c)
      y[c0 + c] = static_cast<float>(sum[c] / static_cast<double>(positions));
  }
}

}  // namespace

template <>
void run(const GlobalAvgPoolArgs& args) {
  const std::int64_t channels = args.channels, positions = args.positions;
  with_storage(args.dtype, [&]<class T>(T) {
    const auto* x = static_cast<const T*>(args.x);
    parallel_for(args.batch, positions * channels, [&](std::int64_t b) {
      average_image(x + b * positions * channels, positions, channels, args.y + b * channels);
    });
  });
}

template <>
void run(const GlobalAvgPoolBackwardArgs& args) {
  const std::int64_t channels = args.channels, positions = args.positions;
  with_storage(args.dtype, [&]<class T>(T) {
    auto* dx = static_cast<T*>(args.dx);
    parallel_for(args.batch, positions * channels, [&](std::int64_t b) {
      const float* dy = args.dy + b * channels;
      T* image = dx + b * positions * channels;
      for (std::int64_t c = 0; c < channels; ++c)
        image[c] = from_float<T>(dy[c] / static_cast<float>(positions));
      for (std::int64_t p = 1; p < positions; ++p) std::copy_n(image, channels, image + p * channels);
    });
  });
}

}  // namespace tdds::cpu
