// Global average pool and its gradient; contract in kernels/ops/pool.h.
//
// Parallel over: images and channels, 16 bytes of channels per thread; backward also over positions.
// Held in:       registers; sums are in double.
// Bytes per row: a position's channels are read (backward: written) once.
// Deterministic: a thread sums its channels over the positions in ascending order.

#include "kernels/ops/pool.h"

#include <limits>

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/vectors.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 128;

template <class T, int kWide>
__global__ void __launch_bounds__(kThreads)
    pool_kernel(const T* x, float* y, std::int32_t outputs, std::int32_t positions, std::int32_t channels) {
  wait_for_previous();
  const std::int64_t thread = global_thread() * kWide;
  if (thread >= outputs) return;
  const auto i = static_cast<std::int32_t>(thread);  // index into y; a 64-bit division would call a function
  const T* from = x + static_cast<std::int64_t>(i / channels) * positions * channels + i % channels;
  double sum[kWide] = {};
  for (std::int32_t p = 0; p < positions; ++p, from += channels) {
    const Floats<kWide> values = load<kWide>(from);
    for (int j = 0; j < kWide; ++j) sum[j] += values.v[j];
  }
  Floats<kWide> mean;
  for (int j = 0; j < kWide; ++j) mean.v[j] = static_cast<float>(sum[j] / positions);
  store<kWide>(y + i, mean);
}

template <class T, int kWide>
__global__ void __launch_bounds__(kThreads)
    pool_backward_kernel(const float* dy, T* dx, std::int64_t n, std::int32_t positions,
                         std::int32_t channels) {
  wait_for_previous();
  const std::int64_t i = global_thread() * kWide;  // index into dx
  if (i >= n) return;
  const std::int64_t image = i / channels / positions;
  Floats<kWide> values = load<kWide>(dy + image * channels + i % channels);
  for (int j = 0; j < kWide; ++j) values.v[j] /= static_cast<float>(positions);
  store<kWide>(dx + i, values);
}

}  // namespace

template <>
void run(Stream& stream, const GlobalAvgPoolArgs& args) {
  const char* name = "global_avg_pool";
  if (std::int64_t{args.batch} * args.channels > std::numeric_limits<std::int32_t>::max())
    reject(name, "batch * channels must be below 2^31");
  const std::int32_t outputs = args.batch * args.channels;
  with_float_type(name, args.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto* x = static_cast<const T*>(args.x);
    if (args.channels % kVector<T> == 0)
      launch(stream, name, pool_kernel<T, kVector<T>>, {blocks_for(outputs, kThreads * kVector<T>)},
             {kThreads}, 0, x, args.y, outputs, args.positions, args.channels);
    else
      launch(stream, name, pool_kernel<T, 1>, {blocks_for(outputs, kThreads)}, {kThreads}, 0, x, args.y,
             outputs, args.positions, args.channels);
  });
}

template <>
void run(Stream& stream, const GlobalAvgPoolBackwardArgs& args) {
  const char* name = "global_avg_pool_backward";
  const std::int64_t n = std::int64_t{args.batch} * args.positions * args.channels;
  with_float_type(name, args.dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* dx = static_cast<T*>(args.dx);
    if (args.channels % kVector<T> == 0)
      launch(stream, name, pool_backward_kernel<T, kVector<T>>, {blocks_for(n, kThreads * kVector<T>)},
             {kThreads}, 0, args.dy, dx, n, args.positions, args.channels);
    else
      launch(stream, name, pool_backward_kernel<T, 1>, {blocks_for(n, kThreads)}, {kThreads}, 0, args.dy, dx,
             n, args.positions, args.channels);
  });
}

}  // namespace tdds::TDDS_GPU
