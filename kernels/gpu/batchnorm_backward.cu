// Batch normalisation, backward; contract and formulas in kernels/ops/batchnorm.h. Three kernels: sums over
// tiles, their sum with the coefficients of dx, application.
//
// Parallel over: tiles of rows and channels (kernels/gpu/batchnorm_tile.h); sum of tiles: channels, one block
//                each.
// Held in:       registers; at most 16 KiB of shared memory to join the rows of a tile.
// Bytes per row: x, dy and, with ReLU, y are read twice, dx and dresidual written once, in 16-byte accesses.
//                Application goes from the last row to the first, because the last rows read are still in L2.
// Deterministic: the tiles depend on M and C alone, and each sum has a fixed order.

#include "kernels/ops/batchnorm.h"

#include "kernels/gpu/batchnorm_tile.h"
#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

// dx = scale * (g - offset - (x - mean) * slope), where g = dy where y > 0 and else 0 (all of dy without
// ReLU).
template <class T>
struct Gradient {
  const T *x, *y, *dy;  // y null without ReLU
  T *dx, *dresidual;
  const float* mean;
  std::int64_t rows, tile_rows;
  std::int32_t channels;
};

template <int kWide, class T>
__device__ Floats<kWide> passed(const Gradient<T>& args, std::int64_t at) {
  Floats<kWide> g = load<kWide>(args.dy + at);
  if (args.y) {
    const Floats<kWide> y = load<kWide>(args.y + at);
    for (int j = 0; j < kWide; ++j) g.v[j] = y.v[j] > 0 ? g.v[j] : 0.0f;
  }
  return g;
}

template <int kWide>
struct GradientRow {
  Floats<kWide> g, x;
};

template <int kWide, class T>
__device__ GradientRow<kWide> row_of(const Gradient<T>& args, const TileSpan& span, std::int64_t r) {
  const std::int64_t at = r * args.channels + span.channel;
  return {passed<kWide>(args, at), load<kWide>(args.x + at)};
}

// A tile's sums of g and of g * (x - mean).
template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads, kTileBlocksPerMultiprocessor)
    sums_kernel(Gradient<T> args, BatchNormScratch scratch) {
  const std::int64_t tile = block_id().x;
  const TileSpan span = tile_span<kWide>(tile, args.tile_rows, args.rows, args.channels);
  Floats<kWide> sum = filled<kWide>(0), product = filled<kWide>(0);
  if (span.inside) {
    const Floats<kWide> mean = load<kWide>(args.mean + span.channel);
    for_each_row<2>(
        span, [&](std::int64_t r) { return row_of<kWide>(args, span, r); },
        [&](std::int64_t, const GradientRow<kWide>& row) {
          for (int j = 0; j < kWide; ++j) {
            sum.v[j] += row.g.v[j];
            product.v[j] += row.g.v[j] * (row.x.v[j] - mean.v[j]);
          }
        });
  }
  join_thread_rows(sum, product, [&](std::uint32_t, const TileExchange<kWide>& other, std::uint32_t rank) {
    for (int j = 0; j < kWide; ++j) {
      sum.v[j] += other.at(0, j, rank);
      product.v[j] += other.at(1, j, rank);
    }
  });
  if (thread_id().y != 0 || !span.inside) return;
  for (int j = 0; j < kWide; ++j) {
    scratch.sum(0, span.channel + j, tile) = sum.v[j];
    scratch.sum(1, span.channel + j, tile) = product.v[j];
  }
}

__global__ void __launch_bounds__(kMergeThreads)
    coefficients_kernel(BatchNormBackwardArgs args, BatchNormScratch scratch) {
  const std::int32_t channel = block_id().x;
  double sum = 0, product = 0;
  for (int i = 0; i < kTilesPerThread; ++i) {
    const std::int32_t tile = thread_id().x + i * block_dim().x;
    sum += tile < scratch.tiles ? scratch.sum(0, channel, tile) : 0;
    product += tile < scratch.tiles ? scratch.sum(1, channel, tile) : 0;
  }
  sum = block_sum(sum);
  product = block_sum(product);
  if (thread_id().x != 0) return;
  const double n = static_cast<double>(args.rows), inv_std = args.inv_std[channel];
  const double dweight = product * inv_std;
  args.dbias[channel] = static_cast<float>(sum);
  args.dweight[channel] = static_cast<float>(dweight);
  scratch.coefficient(0)[channel] = static_cast<float>(args.weight[channel] * inv_std);
  scratch.coefficient(1)[channel] = static_cast<float>(sum / n);
  scratch.coefficient(2)[channel] = static_cast<float>(inv_std * dweight / n);
}

template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads) apply_kernel(Gradient<T> args, BatchNormScratch scratch) {
  const std::int64_t tile = grid_dim().x - 1 - block_id().x;
  const TileSpan span = tile_span<kWide>(tile, args.tile_rows, args.rows, args.channels);
  if (!span.inside) return;
  const Floats<kWide> mean = load<kWide>(args.mean + span.channel);
  const Floats<kWide> scale = load<kWide>(scratch.coefficient(0) + span.channel);
  const Floats<kWide> offset = load<kWide>(scratch.coefficient(1) + span.channel);
  const Floats<kWide> slope = load<kWide>(scratch.coefficient(2) + span.channel);
  for_each_row<4>(
      span, [&](std::int64_t r) { return row_of<kWide>(args, span, r); },
      [&](std::int64_t r, const GradientRow<kWide>& row) {
        const std::int64_t at = r * args.channels + span.channel;
        Floats<kWide> dx;
        for (int j = 0; j < kWide; ++j)
          dx.v[j] = scale.v[j] * (row.g.v[j] - offset.v[j] - (row.x.v[j] - mean.v[j]) * slope.v[j]);
        store<kWide>(args.dx + at, dx);
        if (args.dresidual) store<kWide>(args.dresidual + at, row.g);
      });
}

template <class T, int kWide>
void backward(Stream& stream, const BatchNormBackwardArgs& args) {
  const TileGrid sums = tile_grid(args.rows, args.channels, kWide, kMinTileRows, kMaxTileBlocks);
  const BatchNormScratch scratch = batchnorm_scratch(args.workspace, args.rows, args.channels, sums.grid.x);
  Gradient<T> gradient{.x = static_cast<const T*>(args.x),
                       .y = args.relu ? static_cast<const T*>(args.y) : nullptr,
                       .dy = static_cast<const T*>(args.dy),
                       .dx = static_cast<T*>(args.dx),
                       .dresidual = static_cast<T*>(args.dresidual),
                       .mean = args.mean,
                       .rows = args.rows,
                       .tile_rows = sums.rows,
                       .channels = args.channels};
  launch(stream, "batchnorm_backward_sums", sums_kernel<T, kWide>, sums.grid, sums.block,
         2 * kTileThreads * kWide * sizeof(float), gradient, scratch);
  launch(stream, "batchnorm_backward_coefficients", coefficients_kernel,
         {static_cast<std::uint32_t>(args.channels)}, merge_block(sums.grid.x), 0, args, scratch);
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kApplyRows, kAnyBlocks);
  gradient.tile_rows = tiles.rows;
  launch(stream, "batchnorm_backward_apply", apply_kernel<T, kWide>, tiles.grid, tiles.block, 0, gradient,
         scratch);
}

}  // namespace

template <>
void run(Stream& stream, const BatchNormBackwardArgs& args) {
  with_float_type("batchnorm_backward", args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.channels % kVector<T> == 0)
      backward<T, kVector<T>>(stream, args);
    else
      backward<T, 1>(stream, args);
  });
}

}  // namespace tdds::TDDS_GPU
