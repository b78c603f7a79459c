// Batch normalisation, forward and inference; contract and formulas in kernels/batchnorm.h. Three kernels forward:
// moments of tiles, their merger with the running statistics, application.
//
// Parallel over: tiles of rows and channels (kernels/cuda/batchnorm_tile.h); the merger: channels, a warp each.
// Held in:       registers; 8 KiB of shared memory join the rows of a tile.
// Bytes per row: x is read twice and y written once, in 16-byte accesses; the residual is read once. Application
//                takes the rows last to first, so that it finds the last ones read in L2.
// Deterministic: the tiles depend on M and C alone, and moments are merged in a fixed order.

#include "kernels/batchnorm.h"

#include "kernels/cuda/batchnorm_tile.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/launchers.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::int64_t kLeastMomentRows = 128, kMostMomentTiles = 256;
constexpr std::int64_t kApplyRows = 128;
constexpr std::uint32_t kMergeThreads = 128;
constexpr std::int64_t kAnyTiles = std::int64_t{1} << 30;

// A tile's mean and squared deviations. Each thread takes them of its rows by Welford's recurrence about the
// tile's first row: no cancellation however far the mean lies from 0, nor when that row is an outlier.
template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads)
    moments_kernel(const T* x, std::int64_t rows, std::int64_t tile_rows, BatchNormScratch scratch) {
  const std::int64_t tile = block_id().x, begin = tile * tile_rows;
  const TileSpan span = tile_span<kWide>(tile, tile_rows, rows, scratch.channels);
  Floats<kWide> pivot = filled<kWide>(0), mean = filled<kWide>(0), squares = filled<kWide>(0);
  if (span.inside) {
    pivot = load<kWide>(x + begin * scratch.channels + span.channel);
    float count = 0;
    for (std::int64_t r = span.first; r < span.last; r += span.step) {
      const Floats<kWide> values = load<kWide>(x + r * scratch.channels + span.channel);
      count += 1;
      const float share = 1 / count;
      for (int j = 0; j < kWide; ++j) {
        const float value = values.v[j] - pivot.v[j], off = value - mean.v[j];
        mean.v[j] += off * share;
        squares.v[j] += off * (value - mean.v[j]);
      }
    }
  }
  const std::uint32_t width = block_dim().x * kWide, column = thread_id().x * kWide;
  float* means = shared<float>(block_dim().y * width);
  float* all_squares = shared<float>(block_dim().y * width, block_dim().y * width * sizeof(float));
  for (int j = 0; j < kWide; ++j) {
    means[thread_id().y * width + column + j] = mean.v[j];
    all_squares[thread_id().y * width + column + j] = squares.v[j];
  }
  sync_block();
  // The thread rows are joined by as many threads as the tile has channels.
  const std::int64_t tile_end = span.last, filled_rows = tile_end - begin;
  for (std::uint32_t c = rank_in_block(); c < width; c += threads_in_block()) {
    const std::int32_t channel = block_id().y * width + c;
    if (channel >= scratch.channels) continue;
    float joined = 0, joined_squares = 0;
    for (std::uint32_t y = 0; y < block_dim().y; ++y) {
      const std::int64_t count = (filled_rows - y + block_dim().y - 1) / block_dim().y;
      joined += means[y * width + c] * static_cast<float>(count > 0 ? count : 0);
    }
    joined /= static_cast<float>(filled_rows);
    for (std::uint32_t y = 0; y < block_dim().y; ++y) {
      const std::int64_t count = (filled_rows - y + block_dim().y - 1) / block_dim().y;
      const float off = means[y * width + c] - joined;
      joined_squares += all_squares[y * width + c] + off * off * static_cast<float>(count > 0 ? count : 0);
    }
    const float origin = to_float(x[begin * scratch.channels + channel]);
    scratch.sum(0, channel, tile) = static_cast<double>(origin) + joined;
    scratch.sum(1, channel, tile) = joined_squares;
  }
}

__global__ void __launch_bounds__(kMergeThreads)
    merge_kernel(BatchNormForwardArgs args, std::int64_t tile_rows, BatchNormScratch scratch) {
  const std::int64_t channel = global_thread() / kWarpSize;
  if (channel >= args.channels) return;  // a whole warp
  const std::int32_t lane = rank_in<Group::kWarp>();
  const auto rows_of = [&](std::int64_t tile) {
    const std::int64_t left = args.rows - tile * tile_rows;
    return static_cast<double>(left < tile_rows ? left : tile_rows);
  };
  const double n = static_cast<double>(args.rows);
  double sum = 0, squares = 0;
  for (std::int32_t t = lane; t < scratch.tiles; t += kWarpSize)
    sum += scratch.sum(0, channel, t) * rows_of(t);
  const double mean = warp_sum(sum) / n;
  for (std::int32_t t = lane; t < scratch.tiles; t += kWarpSize) {
    const double off = scratch.sum(0, channel, t) - mean;
    squares += scratch.sum(1, channel, t) + off * off * rows_of(t);
  }
  squares = warp_sum(squares);
  if (lane != 0) return;
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

// y = act((x - mean) * scale + bias + residual); in inference `scale` is null and made of weight and variance.
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
  for (std::int64_t r = span.first; r < span.last; r += span.step) {
    const std::int64_t at = r * args.channels + span.channel;
    Floats<kWide> values = load<kWide>(args.x + at);
    for (int j = 0; j < kWide; ++j) values.v[j] = (values.v[j] - mean.v[j]) * scale.v[j] + bias.v[j];
    if (args.residual) {
      const Floats<kWide> residual = load<kWide>(args.residual + at);
      for (int j = 0; j < kWide; ++j) values.v[j] += residual.v[j];
    }
    if (args.relu)
      for (int j = 0; j < kWide; ++j) values.v[j] = values.v[j] < 0 ? 0.0f : values.v[j];  // a NaN stays
    store<kWide>(args.y + at, values);
  }
}

template <class T, int kWide>
void apply(Stream& stream, const char* name, Affine<T> args) {
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kApplyRows, kAnyTiles);
  args.tile_rows = tiles.rows;
  launch(stream, name, apply_kernel<T, kWide>, tiles.grid, tiles.block, 0, args);
}

template <class T, int kWide>
void forward(Stream& stream, const BatchNormForwardArgs& args) {
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kLeastMomentRows, kMostMomentTiles);
  const BatchNormScratch scratch = batchnorm_scratch(args.workspace, args.rows, args.channels, tiles.grid.x);
  const auto* x = static_cast<const T*>(args.x);
  launch(stream, "batchnorm_moments", moments_kernel<T, kWide>, tiles.grid, tiles.block,
         2 * kTileThreads * kWide * sizeof(float), x, args.rows, tiles.rows, scratch);
  launch(stream, "batchnorm_merge", merge_kernel, {blocks_for(args.channels, kMergeThreads / kWarpSize)},
         {kMergeThreads}, 0, args, tiles.rows, scratch);
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

void batchnorm_forward(Stream& stream, const BatchNormForwardArgs& args) {
  const char* name = "batchnorm_forward";
  if (args.rows < 2) reject(name, "needs at least 2 values per channel; use a larger batch");
  if (args.channels <= 0) reject(name, "needs at least 1 channel");
  if (!args.x || !args.weight || !args.bias || !args.running_mean || !args.running_var ||
      !args.batches_tracked || !args.mean || !args.inv_std || !args.y || !args.workspace)
    reject(name, "only residual may be null");
  if (args.y == args.x) reject(name, "y may not overwrite x, which the backward pass reads");
  with_float_type(name, args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.channels % kVector<T> == 0)
      forward<T, kVector<T>>(stream, args);
    else
      forward<T, 1>(stream, args);
  });
}

void batchnorm_inference(Stream& stream, const BatchNormInferenceArgs& args) {
  const char* name = "batchnorm_inference";
  if (args.rows < 1 || args.channels <= 0) reject(name, "every extent is at least 1");
  if (!args.x || !args.weight || !args.bias || !args.running_mean || !args.running_var || !args.y)
    reject(name, "only residual may be null");
  with_float_type(name, args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.channels % kVector<T> == 0)
      inference<T, kVector<T>>(stream, args);
    else
      inference<T, 1>(stream, args);
  });
}

}  // namespace tdds::TDDS_GPU
