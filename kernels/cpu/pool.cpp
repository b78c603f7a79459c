#include "kernels/pool.h"

#include <algorithm>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

// Channels that are summed side by side.
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

void run_pool(const GlobalAvgPoolArgs& args) {
  const std::int64_t channels = args.channels, positions = args.positions;
  with_storage(args.dtype, [&]<class T>(T) {
    const auto* x = static_cast<const T*>(args.x);
    parallel_for(args.batch, [&](std::int64_t b) {
      average_image(x + b * positions * channels, positions, channels, args.y + b * channels);
    });
  });
}

void run_pool_backward(const GlobalAvgPoolBackwardArgs& args) {
  const std::int64_t channels = args.channels, positions = args.positions;
  with_storage(args.dtype, [&]<class T>(T) {
    auto* dx = static_cast<T*>(args.dx);
    parallel_for(args.batch, [&](std::int64_t b) {
      const float* dy = args.dy + b * channels;
      T* image = dx + b * positions * channels;
      for (std::int64_t c = 0; c < channels; ++c)
        image[c] = from_float<T>(dy[c] / static_cast<float>(positions));
      for (std::int64_t p = 1; p < positions; ++p) std::copy_n(image, channels, image + p * channels);
    });
  });
}

void check_shape(const char* op, DType dtype, std::int32_t batch, std::int32_t positions,
                 std::int32_t channels) {
  check_storage(op, "activations", dtype);
  check(batch > 0 && positions > 0 && channels > 0, "{}: shape [{}, {}, {}]; every extent is at least 1", op,
        batch, positions, channels);
}

}  // namespace

void global_avg_pool(Stream& stream, const GlobalAvgPoolArgs& args) {
  check_shape("global_avg_pool", args.dtype, args.batch, args.positions, args.channels);
  check(args.x && args.y, "global_avg_pool: no pointer may be null");
  enqueue(stream, "global_avg_pool", args, run_pool);
}

void global_avg_pool_backward(Stream& stream, const GlobalAvgPoolBackwardArgs& args) {
  check_shape("global_avg_pool_backward", args.dtype, args.batch, args.positions, args.channels);
  check(args.dy && args.dx, "global_avg_pool_backward: no pointer may be null");
  enqueue(stream, "global_avg_pool_backward", args, run_pool_backward);
}

}  // namespace tdds::cpu
