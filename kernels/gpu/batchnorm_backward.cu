// Batch normalisation, backward; contract and formulas in kernels/ops/batchnorm.h. Two kernels: sums of tiles
// and of groups of tiles, unless a convolution took them; their merge with the coefficients of dx, and
// application. Where ranks share a batch, a third one between them merges the groups to one, for the other
// ranks, and writes dweight and dbias.
//
// Parallel over: tiles of rows and channels (kernels/gpu/batchnorm_tile.h).
// Held in:       registers, 4 rows per thread; at most 19 KiB of shared memory to merge.
// Bytes per row: x, dy and, behind a residual, the ReLU's mask are read twice, dx and dresidual written once,
//                in 16-byte accesses. Application goes from the last row to the first, because the last rows
//                read are still in L2. Its blocks read at most 24 pairs of floats per channel from L2 each.
// Deterministic: the tiles depend on M and C alone, and each sum has a fixed order.

#include "kernels/ops/batchnorm.h"

#include "kernels/gpu/batchnorm_tile.h"
#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

// How the ReLU's mask is known: there is no ReLU; from the forward pass; from the rounded output, which is
// computed again.
enum class Mask { kNone, kBits, kComputed };

// dx = scale * (g - offset - (x - mean) * slope), where g = dy where y > 0 and else 0 (all of dy without
// ReLU).
template <class T>
struct Gradient {
  const T *x, *dy;
  const std::uint8_t* mask;
  T *dx, *dresidual;
  std::int64_t rows, tile_rows;
  std::int32_t channels;
};

template <class T, int kWide>
struct GradientRow {
  Packed<kWide, T> x, dy;
  std::uint32_t bits = 0;
};

// What the normalised value, and so the mask, depends on.
template <int kWide>
struct Norm {
  Floats<kWide> mean, scale, bias;
};

template <Mask kMask, class T, int kWide>
__device__ GradientRow<T, kWide> load_row(const Gradient<T>& args, std::int64_t at) {
  GradientRow<T, kWide> row;
  row.x = load_packed<kWide>(args.x + at);
  row.dy = load_packed<kWide>(args.dy + at);
  if constexpr (kMask == Mask::kBits) row.bits = args.mask[at / kWide];
  return row;
}

// g of value j.
template <Mask kMask, class T, int kWide>
__device__ float passed(const GradientRow<T, kWide>& row, const Norm<kWide>& norm, int j) {
  bool open = true;
  if constexpr (kMask == Mask::kBits) open = (row.bits >> j & 1u) != 0;
  if constexpr (kMask == Mask::kComputed)
    open = rounded<T>(normalized(row.x.at(j), norm.mean.v[j], norm.scale.v[j], norm.bias.v[j])) > 0;
  return open ? row.dy.at(j) : 0.0f;
}

// The sums of g and of g * (x - mean) of each tile and of each group of tiles.
template <class T, int kWide, Mask kMask>
__global__ void __launch_bounds__(kTileThreads, kTileBlocksPerMultiprocessor)
    sums_kernel(Gradient<T> gradient, BatchNormBackwardArgs args, BatchNormScratch scratch) {
  wait_for_previous();
  const std::int64_t tile = block_id().x;
  const TileSpan span = tile_span<kWide>(tile, gradient.tile_rows, gradient.rows, gradient.channels);
  Floats<kWide> sum = filled<kWide>(0), product = filled<kWide>(0);
  if (span.inside) {
    Norm<kWide> norm;
    norm.mean = load<kWide>(args.mean + span.channel);
    if constexpr (kMask == Mask::kComputed) {
      norm.scale = load<kWide>(args.weight + span.channel);
      norm.bias = load<kWide>(args.bias + span.channel);
      const Floats<kWide> inv_std = load<kWide>(args.inv_std + span.channel);
      for (int j = 0; j < kWide; ++j) norm.scale.v[j] *= inv_std.v[j];
    }
    // As many rows as the registers hold.
    constexpr int kAtOnce = kMask != Mask::kComputed ? 4 : kWide == 8 ? 1 : 2;
    for_each_row<kAtOnce>(
        span, [&](std::int64_t at) { return load_row<kMask, T, kWide>(gradient, at); },
        [&](const GradientRow<T, kWide>& row) {
          for (int j = 0; j < kWide; ++j) {
            const float g = passed<kMask>(row, norm, j);
            sum.v[j] += g;
            product.v[j] += g * (row.x.at(j) - norm.mean.v[j]);
          }
        });
  }
  const TileExchange<kWide> exchange;
  exchange.put(sum, product);
  sync_block();
  const ChannelPart<> at = channel_part<kWide>(gradient.channels);
  const Sums of_tile = merge_sums(at, static_cast<std::int32_t>(block_dim().y),
                                  [&](std::uint32_t y) { return exchange.get(at, y); });
  if (at.writes()) scratch.put(scratch.tiles, tile, at.channel, of_tile);

  const std::int64_t group = tile / kGroupTiles;
  if (!scratch.ends_group(group)) return;
  const Sums of_group = merge_sums(at, scratch.tiles_of_group(group), [&](std::int32_t item) {
    return scratch.get(scratch.tiles, group * kGroupTiles + item, at.channel);
  });
  if (at.writes()) scratch.put(scratch.groups, group, at.channel, of_group);
}

// The sums of all groups.
template <std::uint32_t kOf>
__device__ Sums merge_groups(const ChannelPart<kOf>& at, const BatchNormScratch& scratch) {
  return merge_sums(at, scratch.group_count,
                    [&](std::int32_t group) { return scratch.get(scratch.groups, group, at.channel); });
}

// Merges the groups to one.
template <int kWide>
__global__ void __launch_bounds__(kTileThreads)
    merge_kernel(const float* inv_std, float* merged, float* dweight, float* dbias,
                 BatchNormScratch scratch) {
  wait_for_previous();
  const ChannelPart<> at = channel_part<kWide>(scratch.channels);
  const Sums sums = merge_groups(at, scratch);
  if (!at.writes()) return;
  scratch.put(merged, 0, at.channel, sums);
  dweight[at.channel] = sums.second * inv_std[at.channel];
  dbias[at.channel] = sums.first;
}

template <class T, int kWide, Mask kMask>
__global__ void __launch_bounds__(kTileThreads, 2)
    apply_kernel(Gradient<T> gradient, BatchNormBackwardArgs args, BatchNormScratch scratch) {
  wait_for_previous();
  const TileSpan span =
      tile_span<kWide>(grid_dim().x - 1 - block_id().x, gradient.tile_rows, gradient.rows, gradient.channels);
  GradientRow<T, kWide> rows[kApplyRowsOfThread];
  if (span.inside)
    unrolled<kApplyRowsOfThread>([&](auto i) {
      const std::int64_t index = span.first + i * span.step;
      if (index < span.last) rows[i] = load_row<kMask, T, kWide>(gradient, index);
    });

  const ChannelPart<> at = channel_part<kWide>(gradient.channels);
  const Sums sums = merge_groups(at, scratch);
  using Shared = Coefficients<kWide>;
  if (at.writes()) {
    const float count = static_cast<float>(scratch.rows), inv_std = args.inv_std[at.channel];
    const float dweight = sums.second * inv_std;
    Shared::of(0)[at.local] = args.mean[at.channel];
    Shared::of(1)[at.local] = args.weight[at.channel] * inv_std;
    Shared::of(2)[at.local] = kMask == Mask::kComputed ? args.bias[at.channel] : 0.0f;
    Shared::of(3)[at.local] = sums.first / count;
    Shared::of(4)[at.local] = inv_std * dweight / count;
    if (block_id().x == 0 && !args.partials.total_rows) {
      args.dweight[at.channel] = dweight;
      args.dbias[at.channel] = sums.first;
    }
  }
  sync_block();
  if (!span.inside) return;
  const Norm<kWide> norm{Shared::get(0), Shared::get(1), Shared::get(2)};
  const Floats<kWide> offset = Shared::get(3), slope = Shared::get(4);
  unrolled<kApplyRowsOfThread>([&](auto i) {
    const std::int64_t index = span.first + i * span.step;
    if (index >= span.last) return;
    Floats<kWide> dx, g;
    for (int j = 0; j < kWide; ++j) {
      g.v[j] = passed<kMask>(rows[i], norm, j);
      dx.v[j] = norm.scale.v[j] * (g.v[j] - offset.v[j] - (rows[i].x.at(j) - norm.mean.v[j]) * slope.v[j]);
    }
    store<kWide>(gradient.dx + index, dx);
    if (gradient.dresidual) store<kWide>(gradient.dresidual + index, g);
  });
}

template <class T>
Gradient<T> gradient_of(const BatchNormBackwardArgs& args, const TileGrid& tiles) {
  return {.x = static_cast<const T*>(args.x),
          .dy = static_cast<const T*>(args.dy),
          .mask = args.mask,
          .dx = static_cast<T*>(args.dx),
          .dresidual = static_cast<T*>(args.dresidual),
          .rows = args.rows,
          .tile_rows = tiles.rows,
          .channels = args.channels};
}

// What a convolution or all ranks have left or, without them, what the sums kernel will leave.
template <class T, int kWide, Mask kMask>
BatchNormScratch find_sums(Stream& stream, const BatchNormBackwardArgs& args) {
  if (args.partials.groups) return scratch_of(args.partials, args.rows, args.channels);
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kMinTileRows, kMaxTileBlocks);
  const BatchNormScratch scratch = batchnorm_scratch("batchnorm_backward_sums", args.workspace, args.tickets,
                                                     args.rows, args.channels, tiles);
  launch(stream, "batchnorm_backward_sums", sums_kernel<T, kWide, kMask>, tiles.grid, tiles.block,
         TileExchange<kWide>::kBytes, gradient_of<T>(args, tiles), args, scratch);
  return scratch;
}

template <class T, int kWide, Mask kMask>
void run_as(Stream& stream, const BatchNormBackwardArgs& args) {
  const BatchNormScratch scratch = find_sums<T, kWide, kMask>(stream, args);
  const TileGrid apply = tile_grid(args.rows, args.channels, kWide, kApplyRows, kAnyBlocks);
  launch(stream, "batchnorm_backward_apply", apply_kernel<T, kWide, kMask>, apply.grid, apply.block,
         Coefficients<kWide>::bytes(5), gradient_of<T>(args, apply), args, scratch);
}

template <class T, int kWide, Mask kMask>
void run_as(Stream& stream, const BatchNormSumsArgs& args) {
  const BatchNormBackwardArgs& a = args.backward;
  const BatchNormScratch scratch = find_sums<T, kWide, kMask>(stream, a);
  const TileGrid merge = merge_grid(a.rows, a.channels, kWide);
  launch(stream, "batchnorm_backward_merge", merge_kernel<kWide>, merge.grid, merge.block, kMergeBytes,
         a.inv_std, args.sums, a.dweight, a.dbias, scratch);
}

// `args` are or contain those of the backward pass, `of`.
template <class T, int kWide, class Args>
void run_wide(Stream& stream, const Args& args, const BatchNormBackwardArgs& of) {
  if (!of.relu)
    run_as<T, kWide, Mask::kNone>(stream, args);
  else if (of.mask)
    run_as<T, kWide, Mask::kBits>(stream, args);
  else
    run_as<T, kWide, Mask::kComputed>(stream, args);
}

template <class Args>
void run_typed(Stream& stream, const char* name, const Args& args, const BatchNormBackwardArgs& of) {
  with_float_vectors(name, of.dtype, of.channels, [&](auto zero, auto width) {
    run_wide<decltype(zero), decltype(width)::value>(stream, args, of);
  });
}

}  // namespace

template <>
void run(Stream& stream, const BatchNormBackwardArgs& args) {
  run_typed(stream, "batchnorm_backward", args, args);
}

template <>
void run(Stream& stream, const BatchNormSumsArgs& args) {
  run_typed(stream, "batchnorm_sums", args, args.backward);
}

}  // namespace tdds::TDDS_GPU
