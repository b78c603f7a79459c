#include "kernels/ops/max_pool.h"

#include <algorithm>

#include "kernels/cpu/storage.h"
#include "kernels/numerics/round_up.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

// Channels compared at a time.
constexpr std::int32_t kTile = 64;

// A larger number replaces a smaller one, and the first NaN replaces any number. Without branches.
bool replaces(float value, float best) {
  return static_cast<int>(!(value <= best)) & static_cast<int>(best == best);
}

template <class T>
void pool_position(const MaxPoolArgs& args, const T* image, std::int32_t i, std::int32_t j,
                   std::int64_t out) {
  const MaxPoolShape& p = args.shape;
  const std::int32_t top = i * p.stride - p.padding, left = j * p.stride - p.padding;
  float best[kTile];
  std::int32_t taken[kTile];  // as wide as a value, so that the comparisons use vectors
  for (std::int32_t c0 = 0; c0 < p.channels; c0 += kTile) {
    const std::int32_t width = std::min(kTile, p.channels - c0);
    bool first = true;
    for (std::int32_t r = std::max(0, -top); r < std::min(p.window, p.height - top); ++r)
      for (std::int32_t s = std::max(0, -left); s < std::min(p.window, p.width - left); ++s, first = false) {
        const T* x = image + (std::int64_t{top + r} * p.width + left + s) * p.channels + c0;
        const std::int32_t place = r * p.window + s;
        if (first) {
          for (std::int32_t c = 0; c < width; ++c) best[c] = to_float(x[c]);
          std::fill_n(taken, width, place);
          continue;
        }
        for (std::int32_t c = 0; c < width; ++c) {
          const float value = to_float(x[c]);
          const bool better = replaces(value, best[c]);
          best[c] = better ? value : best[c];
          taken[c] = better ? place : taken[c];
        }
      }
    T* y = static_cast<T*>(args.y) + out + c0;
    for (std::int32_t c = 0; c < width; ++c) y[c] = from_float<T>(best[c]);
    if (args.argmax) std::copy_n(taken, width, args.argmax + out + c0);
  }
}

// The rows first .. last - 1 of y whose windows contain row `at` of x.
struct Range {
  std::int32_t first, last;
};
Range windows_over(std::int32_t at, const MaxPoolShape& p, std::int32_t outputs) {
  const std::int32_t from = at + p.padding - p.window + 1;
  return {from > 0 ? ceil_div(from, p.stride) : 0, std::min(outputs, (at + p.padding) / p.stride + 1)};
}

// The gradient of channels c0 .. c0 + width - 1 at (h, w) of an image.
template <class T>
void gather(const MaxPoolBackwardArgs& args, std::int64_t image, std::int32_t h, std::int32_t w,
            std::int32_t c0, std::int32_t width, T* dx) {
  const MaxPoolShape& p = args.shape;
  const std::int32_t columns = p.out_width();
  const Range rows = windows_over(h, p, p.out_height()), cols = windows_over(w, p, columns);
  float sum[kTile] = {};
  for (std::int32_t i = rows.first; i < rows.last; ++i)
    for (std::int32_t j = cols.first; j < cols.last; ++j) {
      const std::int32_t place = (h + p.padding - i * p.stride) * p.window + w + p.padding - j * p.stride;
      const std::int64_t at = ((image * p.out_height() + i) * columns + j) * p.channels + c0;
      const T* dy = static_cast<const T*>(args.dy) + at;
      const std::uint8_t* taken = args.argmax + at;
      for (std::int32_t c = 0; c < width; ++c) {
        const float gradient = to_float(dy[c]);  // read in any case: without branches
        sum[c] += taken[c] == place ? gradient : 0.0f;
      }
    }
  for (std::int32_t c = 0; c < width; ++c) dx[c] = from_float<T>(sum[c]);
}

}  // namespace

template <>
void run(const MaxPoolArgs& args) {
  const MaxPoolShape& p = args.shape;
  const std::int32_t rows = p.out_height(), columns = p.out_width();
  with_storage(p.dtype, [&]<class T>(T) {
    const std::int64_t work = std::int64_t{columns} * p.channels * p.window * p.window;
    parallel_for(std::int64_t{p.batch} * rows, work, [&](std::int64_t row) {
      const T* image =
          static_cast<const T*>(args.x) + row / rows * p.height * p.width * std::int64_t{p.channels};
      for (std::int32_t j = 0; j < columns; ++j)
        pool_position(args, image, static_cast<std::int32_t>(row % rows), j,
                      (row * columns + j) * p.channels);
    });
  });
}

template <>
void run(const MaxPoolBackwardArgs& args) {
  const MaxPoolShape& p = args.shape;
  with_storage(p.dtype, [&]<class T>(T) {
    parallel_for(std::int64_t{p.batch} * p.height, std::int64_t{2} * p.width * p.channels,
                 [&](std::int64_t row) {
                   T* dx = static_cast<T*>(args.dx) + row * p.width * p.channels;
                   for (std::int32_t w = 0; w < p.width; ++w, dx += p.channels)
                     for (std::int32_t c0 = 0; c0 < p.channels; c0 += kTile)
                       gather(args, row / p.height, static_cast<std::int32_t>(row % p.height), w, c0,
                              std::min(kTile, p.channels - c0), dx + c0);
                 });
  });
}

}  // namespace tdds::cpu
