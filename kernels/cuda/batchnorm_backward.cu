// Batch normalisation, backward; contract and formulas in kernels/batchnorm.h. Three kernels: sums over tiles, their
// sum with the coefficients of dx, application.
//
// Parallel over: tiles of rows and channels (kernels/cuda/batchnorm_tile.h); the sum of tiles: channels, a warp each.
// Held in:       registers; 8 KiB of shared memory join the rows of a tile.
// Bytes per row: x, dy and with ReLU y are read twice, dx and dresidual written once, in 16-byte accesses. Application
//                takes the rows last to first, so that it finds the last ones read in L2.
// Deterministic: the tiles depend on M and C alone, and each sum has a fixed order.

#include "kernels/batchnorm.h"

#include "kernels/cuda/batchnorm_tile.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/launchers.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::int64_t kLeastSumRows = 128, kMostSumTiles = 256;
constexpr std::int64_t kApplyRows = 128;
constexpr std::uint32_t kMergeThreads = 128;
constexpr std::int64_t kAnyTiles = std::int64_t{1} << 30;

// dx = scale * (g - offset - (x - mean) * slope) with g = dy where the ReLU let y pass.
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

// A tile's sums of g and of g * (x - mean).
template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads) sums_kernel(Gradient<T> args, BatchNormScratch scratch) {
  const std::int64_t tile = block_id().x;
  const TileSpan span = tile_span<kWide>(tile, args.tile_rows, args.rows, args.channels);
  Floats<kWide> sum = filled<kWide>(0), product = filled<kWide>(0);
  if (span.inside) {
    const Floats<kWide> mean = load<kWide>(args.mean + span.channel);
    for (std::int64_t r = span.first; r < span.last; r += span.step) {
      const std::int64_t at = r * args.channels + span.channel;
      const Floats<kWide> g = passed<kWide>(args, at), x = load<kWide>(args.x + at);
      for (int j = 0; j < kWide; ++j) {
        sum.v[j] += g.v[j];
        product.v[j] += g.v[j] * (x.v[j] - mean.v[j]);
      }
    }
  }
  const std::uint32_t width = block_dim().x * kWide, column = thread_id().x * kWide;
  float* sums = shared<float>(block_dim().y * width);
  float* products = shared<float>(block_dim().y * width, block_dim().y * width * sizeof(float));
  for (int j = 0; j < kWide; ++j) {
    sums[thread_id().y * width + column + j] = sum.v[j];
    products[thread_id().y * width + column + j] = product.v[j];
  }
  sync_block();
  for (std::uint32_t c = rank_in_block(); c < width; c += threads_in_block()) {
    const std::int32_t channel = block_id().y * width + c;
    if (channel >= args.channels) continue;
    float all = 0, all_products = 0;
    for (std::uint32_t y = 0; y < block_dim().y; ++y) {
      all += sums[y * width + c];
      all_products += products[y * width + c];
    }
    scratch.sum(0, channel, tile) = all;
    scratch.sum(1, channel, tile) = all_products;
  }
}

__global__ void __launch_bounds__(kMergeThreads)
    coefficients_kernel(BatchNormBackwardArgs args, BatchNormScratch scratch) {
  const std::int64_t channel = global_thread() / kWarpSize;
  if (channel >= args.channels) return;  // a whole warp
  const std::int32_t lane = rank_in<Group::kWarp>();
  double sum = 0, product = 0;
  for (std::int32_t t = lane; t < scratch.tiles; t += kWarpSize) {
    sum += scratch.sum(0, channel, t);
    product += scratch.sum(1, channel, t);
  }
  sum = warp_sum(sum);
  product = warp_sum(product);
  if (lane != 0) return;
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
  for (std::int64_t r = span.first; r < span.last; r += span.step) {
    const std::int64_t at = r * args.channels + span.channel;
    const Floats<kWide> g = passed<kWide>(args, at), x = load<kWide>(args.x + at);
    Floats<kWide> dx;
    for (int j = 0; j < kWide; ++j)
      dx.v[j] = scale.v[j] * (g.v[j] - offset.v[j] - (x.v[j] - mean.v[j]) * slope.v[j]);
    store<kWide>(args.dx + at, dx);
    if (args.dresidual) store<kWide>(args.dresidual + at, g);
  }
}

template <class T, int kWide>
void backward(Stream& stream, const BatchNormBackwardArgs& args) {
  const TileGrid sums = tile_grid(args.rows, args.channels, kWide, kLeastSumRows, kMostSumTiles);
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
         {blocks_for(args.channels, kMergeThreads / kWarpSize)}, {kMergeThreads}, 0, args, scratch);
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kApplyRows, kAnyTiles);
  gradient.tile_rows = tiles.rows;
  launch(stream, "batchnorm_backward_apply", apply_kernel<T, kWide>, tiles.grid, tiles.block, 0, gradient,
         scratch);
}

}  // namespace

void batchnorm_backward(Stream& stream, const BatchNormBackwardArgs& args) {
  const char* name = "batchnorm_backward";
  if (args.rows < 2) reject(name, "needs at least 2 values per channel; use a larger batch");
  if (args.channels <= 0) reject(name, "needs at least 1 channel");
  if (!args.x || !args.dy || !args.weight || !args.mean || !args.inv_std || !args.dweight || !args.dbias ||
      !args.dx || !args.workspace || (args.relu && !args.y))
    reject(name, "only dresidual, and without relu y, may be null");
  if (args.dx == args.dresidual) reject(name, "dx and dresidual may not share memory");
  with_float_type(name, args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.channels % kVector<T> == 0)
      backward<T, kVector<T>>(stream, args);
    else
      backward<T, 1>(stream, args);
  });
}

}  // namespace tdds::TDDS_GPU
