// Batch normalisation, forward and inference; contract and formulas in kernels/ops/batchnorm.h. Forward has
// two kernels: moments of tiles and of groups of tiles, unless the convolution in front took them; their
// merge, the running statistics and application. Where ranks share a batch, a third one between them merges
// the groups to one, for the other ranks.
//
// Parallel over: tiles of rows and channels (kernels/gpu/batchnorm_tile.h).
// Held in:       registers, 11 rows per thread for the moments and 4 for the application; at most 19 KiB of
//                shared memory to merge.
// Bytes per row: x is read twice and y written once, in 16-byte accesses; the residual is read once, the mask
//                written once. Application goes from the last row to the first, because the last rows read
//                are still in L2. Its blocks read at most 24 pairs of floats per channel from L2 each.
// Deterministic: the tiles depend on M and C alone, and moments are merged in a fixed order.

#include "kernels/ops/batchnorm.h"

#include "kernels/gpu/batchnorm_tile.h"
#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {
namespace {

// The rows that a thread holds at first, which are all of its rows in the tiles of most layers, and later.
constexpr int kFirstRows = 11, kNextRows = 4;

// The moments of a thread's rows, of kWide channels.
template <int kWide>
struct ThreadMoments {
  float count = 0;
  Floats<kWide> mean = filled<kWide>(0), squares = filled<kWide>(0);
};

// Adds at most kRows rows of a thread, from `first` on. The sums of their differences from the first of them
// give their own moments, which Chan's formula adds. Since the shift is one of the values, the squares lose
// at most a factor of kRows in accuracy, even where the shift is an outlier. Rows past the end are replaced
// by the first, whose difference is 0.
template <int kRows, class T, int kWide>
__device__ void add_rows(ThreadMoments<kWide>& all, const T* x, const TileSpan& span, std::int64_t first,
                         const Packed<kWide, T>& pivot) {
  Packed<kWide, T> rows[kRows];
  int count = 0;
  unrolled<kRows>([&](auto i) {
    const std::int64_t at = first + i * span.step;
    count += at < span.last ? 1 : 0;
    rows[i] = load_packed<kWide>(x + (at < span.last ? at : first));
  });
  const float n = static_cast<float>(count), per_row = 1 / n, total = all.count + n, share = n / total;
  for (int j = 0; j < kWide; ++j) {
    const float shift = rows[0].at(j);
    float sum = 0, squares = 0;
    unrolled<kRows - 1>([&](auto i) {
      const float off = rows[i + 1].at(j) - shift;
      sum += off;
      squares += off * off;
    });
    const float mean = shift - pivot.at(j) + sum * per_row, off = mean - all.mean.v[j];
    all.mean.v[j] += off * share;
    all.squares.v[j] += squares - sum * sum * per_row + off * off * all.count * share;
  }
  all.count = total;
}

// The moments of each tile and of each group of tiles. Means are relative to the pivot, the first row of all:
// there is no cancellation when the mean is far from 0, nor when that row is an outlier.
template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads, kTileBlocksPerMultiprocessor)
    moments_kernel(const T* x, BatchNormScratch scratch) {
  wait_for_previous();
  const std::int64_t tile = block_id().x;
  const TileSpan span = tile_span<kWide>(tile, scratch.tile_rows, scratch.rows, scratch.channels);
  ThreadMoments<kWide> mine;
  if (span.inside && span.first < span.last) {
    const Packed<kWide, T> pivot = load_packed<kWide>(x + span.channel);
    add_rows<kFirstRows>(mine, x, span, span.first, pivot);
    for (std::int64_t at = span.first + kFirstRows * span.step; at < span.last; at += kNextRows * span.step)
      add_rows<kNextRows>(mine, x, span, at, pivot);
  }
  const TileExchange<kWide> exchange;
  exchange.put(mine.mean, mine.squares);
  sync_block();
  const ChannelPart<> at = channel_part<kWide>(scratch.channels);
  const auto tile_rows = static_cast<std::uint32_t>(scratch.rows_of_tile(tile));
  const std::uint32_t stride = block_dim().y;
  const Moments of_tile = merge_moments(
      at, static_cast<std::int32_t>(stride), static_cast<float>(tile_rows), [&](std::uint32_t y) {
        const std::uint32_t count = y < tile_rows ? (tile_rows - y + stride - 1) / stride : 0;
        const Sums moments = exchange.get(at, y);
        return Moments{static_cast<float>(count), moments.first, moments.second};
      });
  if (at.writes()) scratch.put(scratch.tiles, tile, at.channel, {of_tile.mean, of_tile.squares});

  const std::int64_t group = tile / kGroupTiles;
  if (!scratch.ends_group(group)) return;
  const Moments of_group = merge_moments(
      at, scratch.tiles_of_group(group), static_cast<float>(scratch.rows_of_group(group)),
      [&](std::int32_t item) {
        const std::int64_t other = group * kGroupTiles + item;
        const Sums moments = scratch.get(scratch.tiles, other, at.channel);
        return Moments{static_cast<float>(scratch.rows_of_tile(other)), moments.first, moments.second};
      });
  if (at.writes()) scratch.put(scratch.groups, group, at.channel, {of_group.mean, of_group.squares});
}

// y = act(normalized(x) + residual), with one bit a value for y > 0.
template <class T>
struct Affine {
  const T *x, *residual;
  T* y;
  std::uint8_t* mask;
  std::int64_t rows, tile_rows;
  std::int32_t channels;
  bool relu;
};

// A thread's rows, loaded before the coefficients are known.
template <class T, int kWide>
struct AffineRows {
  TileSpan span;
  Packed<kWide, T> x[kApplyRowsOfThread], residual[kApplyRowsOfThread];

  __device__ explicit AffineRows(const Affine<T>& args)
      : span(tile_span<kWide>(grid_dim().x - 1 - block_id().x, args.tile_rows, args.rows, args.channels)) {
    if (!span.inside) return;
    unrolled<kApplyRowsOfThread>([&](auto i) {
      const std::int64_t at = span.first + i * span.step;
      if (at >= span.last) return;
      x[i] = load_packed<kWide>(args.x + at);
      if (args.residual) residual[i] = load_packed<kWide>(args.residual + at);
    });
  }

  __device__ void write(const Affine<T>& args, const Floats<kWide>& mean, const Floats<kWide>& scale,
                        const Floats<kWide>& bias) const {
    if (!span.inside) return;
    unrolled<kApplyRowsOfThread>([&](auto i) {
      const std::int64_t at = span.first + i * span.step;
      if (at >= span.last) return;
      Floats<kWide> y;
      std::uint32_t bits = 0;
      for (int j = 0; j < kWide; ++j) {
        y.v[j] = normalized(x[i].at(j), mean.v[j], scale.v[j], bias.v[j]) + residual[i].at(j);
        if (args.relu) y.v[j] = y.v[j] < 0 ? 0.0f : y.v[j];  // a NaN stays
        if (args.mask) bits |= (rounded<T>(y.v[j]) > 0 ? 1u : 0u) << j;
      }
      store<kWide>(args.y + at, y);
      if (args.mask) args.mask[at / kWide] = static_cast<std::uint8_t>(bits);
    });
  }
};

// The moments of all groups. `origin` is subtracted from their means, and the result is relative to it.
template <std::uint32_t kOf>
__device__ Moments merge_groups(const ChannelPart<kOf>& at, const BatchNormScratch& scratch, float origin) {
  return merge_moments(at, scratch.group_count, static_cast<float>(scratch.rows), [&](std::int32_t group) {
    const Sums of_group = scratch.get(scratch.groups, group, at.channel);
    return Moments{static_cast<float>(scratch.rows_of_group(group)), of_group.first - origin,
                   of_group.second};
  });
}

// The means of the moments kernel are relative to the first row, whose value this is. Those of a convolution
// are not: values of 16 bits resolve their mean no better than its rounding to fp32.
template <class T>
__device__ float pivot_of(const T* x, const BatchNormPartials& partials, std::int32_t channel) {
  return partials.groups ? 0.0f : to_float(x[channel]);
}

// Merges the groups to one, whose mean is not relative to anything.
template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads)
    merge_kernel(const T* x, BatchNormPartials partials, float* merged, BatchNormScratch scratch) {
  wait_for_previous();
  const ChannelPart<> at = channel_part<kWide>(scratch.channels);
  const Moments moments = merge_groups(at, scratch, 0);
  if (!at.writes()) return;
  const double mean = static_cast<double>(pivot_of(x, partials, at.channel)) + moments.mean;
  scratch.put(merged, 0, at.channel, {static_cast<float>(mean), moments.squares});
}

template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads)
    apply_kernel(Affine<T> affine, BatchNormForwardArgs args, BatchNormScratch scratch) {
  wait_for_previous();
  const AffineRows<T, kWide> rows(affine);
  const ChannelPart<> at = channel_part<kWide>(scratch.channels);
  const float count = static_cast<float>(scratch.rows);
  // Those of ranks are merged relative to the first one's, so that nothing cancels.
  const bool of_ranks = args.partials.total_rows != 0;
  const float origin = of_ranks && at.active ? scratch.get(scratch.groups, 0, at.channel).first : 0.0f;
  const Moments moments = merge_groups(at, scratch, origin);
  if (at.writes()) {
    const float pivot = of_ranks ? origin : pivot_of(affine.x, args.partials, at.channel);
    const double exact_mean = static_cast<double>(pivot) + moments.mean;
    const float mean = static_cast<float>(exact_mean);
    const float inv_std = 1 / sqrtf(moments.squares / count + args.eps);
    Coefficients<kWide>::of(0)[at.local] = mean;
    Coefficients<kWide>::of(1)[at.local] = args.weight[at.channel] * inv_std;
    Coefficients<kWide>::of(2)[at.local] = args.bias[at.channel];
    if (block_id().x == 0) {
      args.mean[at.channel] = mean;
      args.inv_std[at.channel] = inv_std;
      const double momentum = args.momentum, variance = moments.squares / (count - 1);
      float &running_mean = args.running_mean[at.channel], &running_var = args.running_var[at.channel];
      running_mean = static_cast<float>((1 - momentum) * running_mean + momentum * exact_mean);
      running_var = static_cast<float>((1 - momentum) * running_var + momentum * variance);
      if (at.channel == 0) *args.batches_tracked += 1;
    }
  }
  sync_block();
  rows.write(affine, Coefficients<kWide>::get(0), Coefficients<kWide>::get(1), Coefficients<kWide>::get(2));
}

template <class T, int kWide>
__global__ void __launch_bounds__(kTileThreads)
    inference_kernel(Affine<T> affine, BatchNormInferenceArgs args) {
  wait_for_previous();
  const AffineRows<T, kWide> rows(affine);
  if (!rows.span.inside) return;
  const std::int32_t channel = rows.span.channel;
  Floats<kWide> scale = load<kWide>(args.weight + channel);
  const Floats<kWide> variance = load<kWide>(args.running_var + channel);
  for (int j = 0; j < kWide; ++j) scale.v[j] /= sqrtf(variance.v[j] + args.eps);
  rows.write(affine, load<kWide>(args.running_mean + channel), scale, load<kWide>(args.bias + channel));
}

template <class T, class Args>
Affine<T> affine_of(const Args& args, const TileGrid& tiles, std::uint8_t* mask) {
  return {.x = static_cast<const T*>(args.x),
          .residual = static_cast<const T*>(args.residual),
          .y = static_cast<T*>(args.y),
          .mask = mask,
          .rows = args.rows,
          .tile_rows = tiles.rows,
          .channels = args.channels,
          .relu = args.relu};
}

// What the convolution or all ranks have left or, without them, what the moments kernel will leave.
template <class T, int kWide>
BatchNormScratch find_moments(Stream& stream, const BatchNormForwardArgs& args) {
  if (args.partials.groups) return scratch_of(args.partials, args.rows, args.channels);
  const TileGrid tiles = tile_grid(args.rows, args.channels, kWide, kMinTileRows, kMaxTileBlocks);
  const BatchNormScratch scratch =
      batchnorm_scratch("batchnorm_moments", args.workspace, args.tickets, args.rows, args.channels, tiles);
  launch(stream, "batchnorm_moments", moments_kernel<T, kWide>, tiles.grid, tiles.block,
         TileExchange<kWide>::kBytes, static_cast<const T*>(args.x), scratch);
  return scratch;
}

template <class T, int kWide>
void forward(Stream& stream, const BatchNormForwardArgs& args) {
  const BatchNormScratch scratch = find_moments<T, kWide>(stream, args);
  const TileGrid apply = tile_grid(args.rows, args.channels, kWide, kApplyRows, kAnyBlocks);
  launch(stream, "batchnorm_apply", apply_kernel<T, kWide>, apply.grid, apply.block,
         Coefficients<kWide>::bytes(3), affine_of<T>(args, apply, args.mask), args, scratch);
}

template <class T, int kWide>
void moments(Stream& stream, const BatchNormMomentsArgs& args) {
  const BatchNormForwardArgs& a = args.forward;
  const BatchNormScratch scratch = find_moments<T, kWide>(stream, a);
  const TileGrid merge = merge_grid(a.rows, a.channels, kWide);
  launch(stream, "batchnorm_merge", merge_kernel<T, kWide>, merge.grid, merge.block, kMergeBytes,
         static_cast<const T*>(a.x), a.partials, args.moments, scratch);
}

template <class T, int kWide>
void inference(Stream& stream, const BatchNormInferenceArgs& args) {
  const TileGrid apply = tile_grid(args.rows, args.channels, kWide, kApplyRows, kAnyBlocks);
  launch(stream, "batchnorm_inference", inference_kernel<T, kWide>, apply.grid, apply.block, 0,
         affine_of<T>(args, apply, nullptr), args);
}

}  // namespace

template <>
void run(Stream& stream, const BatchNormForwardArgs& args) {
  with_float_vectors("batchnorm_forward", args.dtype, args.channels, [&](auto zero, auto width) {
    forward<decltype(zero), decltype(width)::value>(stream, args);
  });
}

template <>
void run(Stream& stream, const BatchNormMomentsArgs& args) {
  with_float_vectors(
      "batchnorm_moments", args.forward.dtype, args.forward.channels,
      [&](auto zero, auto width) { moments<decltype(zero), decltype(width)::value>(stream, args); });
}

template <>
void run(Stream& stream, const BatchNormInferenceArgs& args) {
  with_float_vectors("batchnorm_inference", args.dtype, args.channels, [&](auto zero, auto width) {
    inference<decltype(zero), decltype(width)::value>(stream, args);
  });
}

}  // namespace tdds::TDDS_GPU
