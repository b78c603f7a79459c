// Batch normalisation, forward and inference; contract and formulas in kernels/ops/batchnorm.h. Forward has
// three kernels: moments of tiles, their merge together with the running statistics, application.
//
// Parallel over: tiles of rows and channels (kernels/gpu/batchnorm_tile.h); merge: channels, one block each.
// Held in:       registers; at most 16 KiB of shared memory to join the rows of a tile.
// Bytes per row: x is read twice and y written once, in 16-byte accesses; the residual is read once.
//                Application goes from the last row to the first, because the last rows read are still in L2.
// Deterministic: the tiles depend on M and C alone, and moments are merged in a fixed order.

#include "kernels/ops/batchnorm.h"

#include "kernels/gpu/batchnorm_tile.h"
#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

// Mean and squared deviations of a tile. Each thread computes them for its rows by Welford's recurrence,
// shifted by the tile's first row: there is no cancellation when the mean is far from 0 or when that row is
// an outlier. Chan's formula joins the results of two threads.
template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads, kTileBlocksPerMultiprocessor)
    moments_kernel(const T* x, std::int64_t rows, std::int64_t tile_rows, BatchNormScratch scratch) {
  const std::int64_t tile = block_id().x, begin = tile * tile_rows;
  const TileSpan span = tile_span<kWide>(tile, tile_rows, rows, scratch.channels);
  Floats<kWide> pivot = filled<kWide>(0), mean = filled<kWide>(0), squares = filled<kWide>(0);
  if (span.inside) {
    pivot = load<kWide>(x + begin * scratch.channels + span.channel);
    float count = 0;
    for_each_row<4>(
        span, [&](std::int64_t r) { return load<kWide>(x + r * scratch.channels + span.channel); },
        [&](std::int64_t, const Floats<kWide>& values) {
          count += 1;
          const float share = 1 / count;
          for (int j = 0; j < kWide; ++j) {
            const float value = values.v[j] - pivot.v[j], off = value - mean.v[j];
            mean.v[j] += off * share;
            squares.v[j] += off * (value - mean.v[j]);
          }
        });
  }
  const auto tile_count = static_cast<std::uint32_t>(span.last - begin);
  // The number of rows y, y + stride, ... within the tile.
  const auto count_of = [&](std::uint32_t y, std::uint32_t stride) {
    return y < tile_count ? static_cast<float>((tile_count - y + stride - 1) / stride) : 0.0f;
  };
  join_thread_rows(mean, squares,
                   [&](std::uint32_t half, const TileExchange<kWide>& other, std::uint32_t rank) {
                     const std::uint32_t y = thread_id().y;
                     const float mine = count_of(y, 2 * half), theirs = count_of(y + half, 2 * half);
                     const float share = theirs > 0 ? theirs / (mine + theirs) : 0.0f;
                     for (int j = 0; j < kWide; ++j) {
                       const float off = other.at(0, j, rank) - mean.v[j];
                       mean.v[j] += off * share;
                       squares.v[j] += other.at(1, j, rank) + off * off * mine * share;
                     }
                   });
  if (thread_id().y != 0 || !span.inside) return;
  for (int j = 0; j < kWide; ++j) {
    scratch.sum(0, span.channel + j, tile) = static_cast<double>(pivot.v[j]) + mean.v[j];
    scratch.sum(1, span.channel + j, tile) = squares.v[j];
  }
}

__global__ void __launch_bounds__(kMergeThreads)
    merge_kernel(BatchNormForwardArgs args, std::int64_t tile_rows, BatchNormScratch scratch) {
  const std::int32_t channel = block_id().x;
  const double n = static_cast<double>(args.rows);
  double means[kTilesPerThread], rows[kTilesPerThread], sum = 0, squares = 0;
  for (int i = 0; i < kTilesPerThread; ++i) {
    const std::int32_t tile = thread_id().x + i * block_dim().x;
    const bool inside = tile < scratch.tiles;
    const std::int64_t left = args.rows - tile * tile_rows;
    rows[i] = inside ? static_cast<double>(left < tile_rows ? left : tile_rows) : 0;
    means[i] = inside ? scratch.sum(0, channel, tile) : 0;
    squares += inside ? scratch.sum(1, channel, tile) : 0;
    sum += means[i] * rows[i];
  }
  const double mean = block_sum(sum) / n;
  for (int i = 0; i < kTilesPerThread; ++i) squares += (means[i] - mean) * (means[i] - mean) * rows[i];
  squares = block_sum(squares);
  if (thread_id().x != 0) return;
  const float inv_std = static_cast<float>(1 / sqrt(squares / n + args.eps));
  args.mean[channel] = static_cast<float>(mean);
  args.inv_std[channel] = inv_std;
  scratch.coefficient(0)[channel] = args.weight[channel] * inv_std;
  const double momentum = args.momentum;
  args.running_mean[channel] =
      static_cast<float>((1 - momentum) * args.running_mean[channel] + momentum * mean);
  args.running_var[channel] =
      static_cast<float>((1 - momentum) * args.running_var[channel] + momentum * (squares / (n - 1)));
  if (channel == 0) *args.batches_tracked += 1;
}

// y = act((x - mean) * scale + bias + residual). In inference `scale` is null and computed from weight and
// variance.
template <class T>
struct Affine {
  const T *x, *residual;
  T* y;
  const float *mean, *scale, *bias, *weight, *variance;
  std::int64_t rows, tile_rows;
  std::int32_t channels;
  float eps;
  bool relu;
};

template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads) apply_kernel(Affine<T> args) {
  const std::int64_t tile = grid_dim().x - 1 - block_id().x;
  const TileSpan span = tile_span<kWide>(tile, args.tile_rows, args.rows, args.channels);
  if (!span.inside) return;
  const Floats<kWide> mean = load<kWide>(args.mean + span.channel),
                      bias = load<kWide>(args.bias + span.channel);
  Floats<kWide> scale;
  if (args.scale) {
    scale = load<kWide>(args.scale + span.channel);
  } else {
    scale = load<kWide>(args.weight + span.channel);
    const Floats<kWide> variance = load<kWide>(args.variance + span.channel);
    for (int j = 0; j < kWide; ++j) scale.v[j] /= sqrtf(variance.v[j] + args.eps);
  }
  struct Row {
    Floats<kWide> x, residual;
  };
  for_each_row<4>(
      span,
      [&](std::int64_t r) {
        const std::int64_t at = r * args.channels + span.channel;
        return Row{load<kWide>(args.x + at),
                   args.residual ? load<kWide>(args.residual + at) : filled<kWide>(0)};
      },
      [&](std::int64_t r, const Row& row) {
        Floats<kWide> y;
        for (int j = 0; j < kWide; ++j) {
          y.v[j] = (row.x.v[j] - mean.v[j]) * scale.v[j] + bias.v[j] + row.residual.v[j];
          if (args.relu) y.v[j] = y.v[j] < 0 ? 0.0f : y.v[j];  // a NaN stays
        }
        store<kWide>(args.y + r * args.channels + span.channel, y);
      });
}

template <class T, int kWide>
void apply(Stream& stream, const char* name, Affine<T> args) {
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kApplyRows, kAnyBlocks);
  args.tile_rows = tiles.rows;
  launch(stream, name, apply_kernel<T, kWide>, tiles.grid, tiles.block, 0, args);
}

template <class T, int kWide>
void forward(Stream& stream, const BatchNormForwardArgs& args) {
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kMinTileRows, kMaxTileBlocks);
  const BatchNormScratch scratch = batchnorm_scratch(args.workspace, args.rows, args.channels, tiles.grid.x);
  const auto* x = static_cast<const T*>(args.x);
  launch(stream, "batchnorm_moments", moments_kernel<T, kWide>, tiles.grid, tiles.block,
         2 * kTileThreads * kWide * sizeof(float), x, args.rows, tiles.rows, scratch);
  launch(stream, "batchnorm_merge", merge_kernel, {static_cast<std::uint32_t>(args.channels)},
         merge_block(tiles.grid.x), 0, args, tiles.rows, scratch);
  apply<T, kWide>(stream, "batchnorm_apply",
                  {.x = x,
                   .residual = static_cast<const T*>(args.residual),
                   .y = static_cast<T*>(args.y),
                   .mean = args.mean,
                   .scale = scratch.coefficients,
                   .bias = args.bias,
                   .weight = nullptr,
                   .variance = nullptr,
                   .rows = args.rows,
                   .tile_rows = 0,
                   .channels = args.channels,
                   .eps = 0,
                   .relu = args.relu});
}

template <class T, int kWide>
void inference(Stream& stream, const BatchNormInferenceArgs& args) {
  apply<T, kWide>(stream, "batchnorm_inference",
                  {.x = static_cast<const T*>(args.x),
                   .residual = static_cast<const T*>(args.residual),
                   .y = static_cast<T*>(args.y),
                   .mean = args.running_mean,
                   .scale = nullptr,
                   .bias = args.bias,
                   .weight = args.weight,
                   .variance = args.running_var,
                   .rows = args.rows,
                   .tile_rows = 0,
                   .channels = args.channels,
                   .eps = args.eps,
                   .relu = args.relu});
}

}  // namespace

template <>
void run(Stream& stream, const BatchNormForwardArgs& args) {
  with_float_type("batchnorm_forward", args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.channels % kVector<T> == 0)
      forward<T, kVector<T>>(stream, args);
    else
      forward<T, 1>(stream, args);
  });
}

template <>
void run(Stream& stream, const BatchNormInferenceArgs& args) {
  with_float_type("batchnorm_inference", args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.channels % kVector<T> == 0)
      inference<T, kVector<T>>(stream, args);
    else
      inference<T, 1>(stream, args);
  });
}

}  // namespace tdds::TDDS_GPU
