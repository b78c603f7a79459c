// Max pool and its gradient; contract in kernels/ops/max_pool.h.
//
// Parallel over: positions of y (backward: of dx), 16 bytes of channels per thread.
// Held in:       registers. Windows overlap: all but the first read of a position come from a cache.
// Bytes per row: x is read once, y and one byte of argmax per element of y are written once; backward reads
//                dy and argmax once and writes dx once.
// Deterministic: gradients are gathered in ascending order of the windows; nothing is scattered.

#include "kernels/ops/max_pool.h"

#include <limits>

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/vectors.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 128;

// The position of a thread in [B, rows, columns, C / wide].
struct Place {
  std::uint32_t image, row, column, channel;
};
__device__ Place place_of(std::uint32_t i, std::int32_t rows, std::int32_t columns, std::uint32_t groups,
                          std::uint32_t wide) {
  const std::uint32_t position = i / groups, line = position / columns;
  return {line / rows, line % rows, position % columns, i % groups * wide};
}

__device__ bool replaces(float value, float best) {
  return value > best || (value != value && best == best);  // the first NaN replaces any number
}

template <class T, int kWide>
__global__ void __launch_bounds__(kThreads)
    max_pool_kernel(const T* x, T* y, std::uint8_t* argmax, MaxPoolShape p, std::uint32_t threads) {
  wait_for_previous();
  const std::int64_t thread = global_thread();
  if (thread >= threads) return;
  const Place at =
      place_of(static_cast<std::uint32_t>(thread), p.out_height(), p.out_width(), p.channels / kWide, kWide);
  const std::int32_t top = static_cast<std::int32_t>(at.row) * p.stride - p.padding;
  const std::int32_t left = static_cast<std::int32_t>(at.column) * p.stride - p.padding;
  const T* image = x + static_cast<std::int64_t>(at.image) * p.height * p.width * p.channels + at.channel;
  Floats<kWide> best = filled<kWide>(0);
  std::uint8_t taken[kWide] = {};
  bool first = true;
  for (std::int32_t r = 0; r < p.window; ++r) {
    if (top + r < 0 || top + r >= p.height) continue;
    for (std::int32_t s = 0; s < p.window; ++s) {
      if (left + s < 0 || left + s >= p.width) continue;
      const Floats<kWide> value =
          load<kWide>(image + (static_cast<std::int64_t>(top + r) * p.width + left + s) * p.channels);
      for (int k = 0; k < kWide; ++k)
        if (first || replaces(value.v[k], best.v[k])) {
          best.v[k] = value.v[k];
          taken[k] = static_cast<std::uint8_t>(r * p.window + s);
        }
      first = false;
    }
  }
  const std::int64_t out = thread * kWide;
  store<kWide>(y + out, best);
  if (argmax)
    for (int k = 0; k < kWide; ++k) argmax[out + k] = taken[k];
}

template <class T, int kWide>
__global__ void __launch_bounds__(kThreads)
    max_pool_backward_kernel(const T* dy, const std::uint8_t* argmax, T* dx, MaxPoolShape p,
                             std::uint32_t threads) {
  wait_for_previous();
  const std::int64_t thread = global_thread();
  if (thread >= threads) return;
  const Place at = place_of(static_cast<std::uint32_t>(thread), p.height, p.width, p.channels / kWide, kWide);
  const std::int32_t down = static_cast<std::int32_t>(at.row) + p.padding;
  const std::int32_t right = static_cast<std::int32_t>(at.column) + p.padding;
  const std::int32_t rows = p.out_height(), columns = p.out_width();
  Floats<kWide> sum = filled<kWide>(0);
  for (std::int32_t i = down < p.window ? 0 : (down - p.window) / p.stride + 1;
       i <= down / p.stride && i < rows; ++i)
    for (std::int32_t j = right < p.window ? 0 : (right - p.window) / p.stride + 1;
         j <= right / p.stride && j < columns; ++j) {
      const std::int32_t took = (down - i * p.stride) * p.window + right - j * p.stride;
      const std::int64_t from =
          ((static_cast<std::int64_t>(at.image) * rows + i) * columns + j) * p.channels + at.channel;
      const Floats<kWide> value = load<kWide>(dy + from);
      for (int k = 0; k < kWide; ++k) sum.v[k] += argmax[from + k] == took ? value.v[k] : 0.0f;
    }
  store<kWide>(dx + thread * kWide, sum);
}

// The number of threads that cover n values, `wide` values each.
std::uint32_t threads_for(const char* name, std::int64_t n, int wide) {
  if (n / wide > std::numeric_limits<std::uint32_t>::max()) reject(name, "needs 2^32 threads or more");
  return static_cast<std::uint32_t>(n / wide);
}

}  // namespace

template <>
void run(Stream& stream, const MaxPoolArgs& args) {
  const char* name = "max_pool";
  const MaxPoolShape& p = args.shape;
  with_float_type(name, p.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto go = [&](auto kernel, int wide) {
      const std::uint32_t threads = threads_for(name, static_cast<std::int64_t>(p.outputs()), wide);
      launch(stream, name, kernel, {blocks_for(threads, kThreads)}, {kThreads}, 0,
             static_cast<const T*>(args.x), static_cast<T*>(args.y), args.argmax, p, threads);
    };
    if (p.channels % kVector<T> == 0)
      go(max_pool_kernel<T, kVector<T>>, kVector<T>);
    else
      go(max_pool_kernel<T, 1>, 1);
  });
}

template <>
void run(Stream& stream, const MaxPoolBackwardArgs& args) {
  const char* name = "max_pool_backward";
  const MaxPoolShape& p = args.shape;
  with_float_type(name, p.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto go = [&](auto kernel, int wide) {
      const std::uint32_t threads =
          threads_for(name, std::int64_t{p.batch} * p.height * p.width * p.channels, wide);
      launch(stream, name, kernel, {blocks_for(threads, kThreads)}, {kThreads}, 0,
             static_cast<const T*>(args.dy), args.argmax, static_cast<T*>(args.dx), p, threads);
    };
    if (p.channels % kVector<T> == 0)
      go(max_pool_backward_kernel<T, kVector<T>>, kVector<T>);
    else
      go(max_pool_backward_kernel<T, 1>, 1);
  });
}

}  // namespace tdds::TDDS_GPU
