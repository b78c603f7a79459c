// Convolutions with 3x3 filters, stride 1 and padding 1, forward and the data gradient; contract in
// kernels/ops/conv3x3.h. One kernel for both: a matrix product with the pixels of a batch as rows and the
// channels of the result as columns. Its terms are the taps of the filter and the channels that are summed.
//
//                    64 terms of a tap
//                   +----------------+   a block: 256 x 64 or 128 x 128 outputs by 4 warps of 64 x 64, or
//                   |    filters     |   128 x 64 by 8 warps of 64 x 32, four for each half of the terms
//                   | 64-128 columns |
//                   +----------------+
//   pixels  +----+  +----------------+
//   and     |    |  |                |   The halo, the tile's pixels and their neighbours, is in shared
//   their   |halo|  |    sums, in    |   memory once for all nine taps: a tap reads the same rows, shifted.
//   neigh-  |    |  |   registers    |   Filters pass through a ring of buffers, a tap each (conv3x3_tile.h).
//   bours   |    |  |                |
//           +----+  +----------------+
//         64 terms
//
// Parallel over: tiles of pixels and of columns; warps over the parts of a tile.
// Held in:       registers, 64 x 64 (64 x 32) fp32 sums of a warp; shared memory: halo and filters, later the
//                rounded tile.
// Bytes per row: a pixel's 64 terms are read (kPixels + 2 W + 2) / kPixels times per kColumns columns,
//                instead of 9 times; each tile reads its filters from L2. The result is written once, in
//                16-byte accesses, and, where they are asked for, the shortcut's gradient, batch norm's
//                input and the ReLU's mask are read once.
// Deterministic: each sum runs over the terms by 64, then over the taps; halves are added in order.
//                Moments and sums are of the rounded results, per tile and per group of tiles, in a fixed
//                order.

#include "kernels/ops/conv3x3.h"

#include "kernels/gpu/batchnorm_tile.h"
#include "kernels/gpu/conv3x3_tile.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr int kWide = 8;  // values of 16 bytes
static_assert(TileExchange<kWide>::kBytes == kConv3x3MergeBytes);

template <class T>
struct Conv3x3Call {
  Conv3x3Operands<T> operands;
  const T* add;
  T* out;
  BatchNormGradient norm;     // data gradient; without x there is none
  BatchNormScratch partials;  // without groups there are none
};

// What follows the products. The rounded tile is in shared memory, in rows of 64 columns; a thread has 8
// columns of every kRowStep-th pixel.
template <class T, class Products>
struct Outputs {
  static constexpr int kPixels = Products::kPixels, kColumns = Products::kColumns;
  static constexpr int kThreads = Products::kThreads;
  static constexpr int kRowStep = kThreads / (kColumns / kWide), kRows = kPixels / kRowStep;
  static constexpr std::size_t kValues = std::size_t{kPixels} * kColumns;

  const Conv3x3Call<T>& call;
  const Products& products;
  int rows;  // pixels of the tile
  T* staged = shared<T>(kValues, kConv3x3MergeBytes);

  __device__ Outputs(const Conv3x3Call<T>& of, const Products& made_of)
      : call(of), products(made_of), rows(call.operands.pixels - products.first_pixel) {
    if (rows > kPixels) rows = kPixels;
  }

  __device__ static int staged_place(int row, int column) {
    return column / kRow * kPixels * kRow + place(row, column % kRow);
  }
  __device__ static int row_of(int i) { return static_cast<int>(thread_id().y) + i * kRowStep; }
  __device__ T* staged_vector(int row) const {
    return staged + staged_place(row, static_cast<int>(thread_id().x) * kWide);
  }
  // The place of the thread's columns of a pixel in an activation.
  __device__ std::int64_t index_of(int row) const {
    return std::int64_t{products.first_pixel + row} * call.operands.columns + products.first_column +
           thread_id().x * kWide;
  }

  // Rounds the sums and puts them into shared memory, on top of `add`.
  __device__ void stage(Accumulator (&sums)[Products::kDown][Products::kAcross]) const {
    if (call.add) {
      unrolled<kRows>([&](auto i) {
        if (row_of(i) < rows) copy_async16(staged_vector(row_of(i)), call.add + index_of(row_of(i)));
      });
      copy_async_commit();
      copy_async_wait<0>();
    }
    if constexpr (Products::kLayout.split > 1) add_parts(sums);
    sync_block();
    if (products.part == 0) write_sums(sums);
    sync_block();
  }

  // The first half of the warps adds the sums of the second.
  __device__ void add_parts(Accumulator (&sums)[Products::kDown][Products::kAcross]) const {
    static_assert(Products::kLayout.split == 2);
    constexpr int kHalf = kThreads / 2;
    constexpr std::size_t kOffset = kConv3x3MergeBytes + kValues * sizeof(T);  // behind the tile
    float* parts = shared<float>(kValues, kOffset) + rank_in_block() % kHalf;
    const auto each = [&](auto visit) {
      unrolled<Products::kDown>([&](auto i) {
        unrolled<Products::kAcross>([&](auto j) {
          for (int e = 0; e < 4; ++e)
            visit(sums[i][j].v[e], parts[((i * Products::kAcross + j) * 4 + e) * kHalf]);
        });
      });
    };
    if (products.part == 1) each([](float& sum, float& part) { part = sum; });
    sync_block();
    if (products.part == 0) each([](float& sum, float& part) { sum += part; });
  }

  __device__ void write_sums(const Accumulator (&sums)[Products::kDown][Products::kAcross]) const {
    auto* words = shared<std::uint32_t>(kValues / 2, kConv3x3MergeBytes);
    const auto rounded_bits = [](float value) { return std::uint32_t{from_float<T>(value).bits}; };
    const auto value_of = [](std::uint32_t bits) { return to_float(T{static_cast<std::uint16_t>(bits)}); };
    unrolled<Products::kDown>([&](auto i) {
      unrolled<Products::kAcross>([&](auto j) {
        for (std::uint32_t pair = 0; pair < 4; pair += 2) {  // two neighbours of a row
          const MatrixPlace at = accumulator_place(products.lane, pair);
          const int row = products.warp_pixel + 16 * i + static_cast<int>(at.row);
          std::uint32_t& word =
              words[staged_place(row, products.warp_column + 8 * j + static_cast<int>(at.column)) / 2];
          float low = sums[i][j].v[pair], high = sums[i][j].v[pair + 1];
          if (call.add) {
            low += value_of(word);
            high += value_of(word >> 16);
          }
          word = rounded_bits(low) | rounded_bits(high) << 16;
        }
      });
    });
  }

  __device__ void write() const {
    unrolled<kRows>([&](auto i) {
      if (row_of(i) < rows) store16(call.out + index_of(row_of(i)), load16(staged_vector(row_of(i))));
    });
  }

  // The channel whose sums over the tile a thread merges, with others.
  using Part = ChannelPart<kThreads / kColumns>;
  __device__ Part part_of_merge() const {
    return channel_part<kWide, kThreads / kColumns>(call.operands.columns);
  }

  // Leaves the tile's result, and the group's if this block is the last of its group, which `merge` computes.
  template <class Merge>
  __device__ void leave(const Part& at, Sums of_tile, Merge merge) const {
    const BatchNormScratch& partials = call.partials;
    const std::int64_t tile = block_id().x, group = tile / partials.group_tiles;
    const bool alone = partials.group_tiles == 1;
    if (at.writes()) partials.put(alone ? partials.groups : partials.tiles, tile, at.channel, of_tile);
    if (alone || !partials.ends_group(group)) return;
    const Sums of_group = merge(group, group * partials.group_tiles, partials.tiles_of_group(group));
    if (at.writes()) partials.put(partials.groups, group, at.channel, of_group);
  }

  // The mean and the sum of squared deviations of each column: of a thread's rows in two passes, then of the
  // tile, relative to its first row, and of the group, relative to its first tile.
  __device__ void leave_moments() const {
    Packed<kWide, T> values[kRows];
    unrolled<kRows>(
        [&](auto i) { values[i] = load_packed<kWide>(staged_vector(row_of(i) < rows ? row_of(i) : 0)); });
    const Packed<kWide, T> pivot = load_packed<kWide>(staged_vector(0));
    const auto rows_of = [&](int y) { return y < rows ? (rows - y + kRowStep - 1) / kRowStep : 0; };
    const int count = rows_of(static_cast<int>(thread_id().y));
    const float per_row = count > 0 ? 1 / static_cast<float>(count) : 0.0f;
    Floats<kWide> mean, squares = filled<kWide>(0);
    unrolled<kWide>([&](auto j) {  // an index that is known keeps the values in registers
      float sum = 0;
      unrolled<kRows>([&](auto i) { sum += values[i].at(j) - pivot.at(j); });  // 0 where there is no row
      mean.v[j] = sum * per_row;
      unrolled<kRows>([&](auto i) {
        const float off = values[i].at(j) - pivot.at(j) - mean.v[j];
        squares.v[j] += row_of(i) < rows ? off * off : 0.0f;
      });
    });
    const TileExchange<kWide> exchange;
    exchange.put(mean, squares);
    sync_block();
    const Part at = part_of_merge();
    const Moments of_tile = merge_moments(at, kRowStep, static_cast<float>(rows), [&](std::int32_t y) {
      const Sums of_row = exchange.get(at, static_cast<std::uint32_t>(y));
      return Moments{static_cast<float>(rows_of(y)), of_row.first, of_row.second};
    });
    const float first = to_float(staged[staged_place(0, static_cast<int>(at.local))]);
    leave(at, {first + of_tile.mean, of_tile.squares},
          [&](std::int64_t group, std::int64_t first_tile, std::int32_t tiles) {
            const BatchNormScratch& partials = call.partials;
            const float shift = at.active ? partials.get(partials.tiles, first_tile, at.channel).first : 0.0f;
            const auto group_rows = static_cast<float>(partials.rows_of_group(group));
            const Moments all = merge_moments(at, tiles, group_rows, [&](std::int32_t item) {
              const Sums tile = partials.get(partials.tiles, first_tile + item, at.channel);
              return Moments{static_cast<float>(partials.rows_of_tile(first_tile + item)), tile.first - shift,
                             tile.second};
            });
            return Sums{shift + all.mean, all.squares};
          });
  }

  // g = the gradient where the ReLU let its value pass, else 0; the sums of g and of g (x - mean).
  __device__ void write_gradient_of_norm() const {
    const BatchNormGradient& norm = call.norm;
    Packed<kWide, T> x[kRows];
    std::uint32_t bits[kRows] = {};
    unrolled<kRows>([&](auto i) {
      if (row_of(i) >= rows) return;
      x[i] = load_packed<kWide>(static_cast<const T*>(norm.x) + index_of(row_of(i)));
      if (norm.mask) bits[i] = norm.mask[index_of(row_of(i)) / kWide];
    });
    const std::int64_t channel = products.first_column + thread_id().x * kWide;
    const Floats<kWide> mean = load<kWide>(norm.mean + channel), bias = load<kWide>(norm.bias + channel);
    const Floats<kWide> inv_std = load<kWide>(norm.inv_std + channel);
    Floats<kWide> scale = load<kWide>(norm.weight + channel);
    for (int j = 0; j < kWide; ++j) scale.v[j] *= inv_std.v[j];
    Floats<kWide> sum = filled<kWide>(0), product = filled<kWide>(0);
    unrolled<kRows>([&](auto i) {
      if (row_of(i) >= rows) return;
      Floats<kWide> g = load<kWide>(staged_vector(row_of(i)));
      for (int j = 0; j < kWide; ++j) {
        const float value = x[i].at(j);
        const bool open = norm.mask ? (bits[i] >> j & 1u) != 0
                                    : rounded<T>(normalized(value, mean.v[j], scale.v[j], bias.v[j])) > 0;
        if (!open) g.v[j] = 0;
        sum.v[j] += g.v[j];
        product.v[j] += g.v[j] * (value - mean.v[j]);
      }
      store<kWide>(call.out + index_of(row_of(i)), g);
    });
    const TileExchange<kWide> exchange;
    exchange.put(sum, product);
    sync_block();
    const Part at = part_of_merge();
    const Sums of_tile = merge_sums(
        at, kRowStep, [&](std::int32_t y) { return exchange.get(at, static_cast<std::uint32_t>(y)); });
    leave(at, of_tile, [&](std::int64_t, std::int64_t first_tile, std::int32_t tiles) {
      return merge_sums(at, tiles, [&](std::int32_t item) {
        return call.partials.get(call.partials.tiles, first_tile + item, at.channel);
      });
    });
  }
};

template <class T, Conv3x3Tile kTile, Conv3x3Direction kDirection>
__global__ void __launch_bounds__(layout_of(kTile).threads(), 2) conv3x3_kernel(Conv3x3Call<T> call) {
  wait_for_previous();
  using Products = Conv3x3Products<T, kTile, kDirection>;
  Products products(call.operands);
  products.run();
  const Outputs<T, Products> outputs(call, products);
  outputs.stage(products.sums);
  if constexpr (kDirection == Conv3x3Direction::kForward) {
    outputs.write();
    if (call.partials.groups) outputs.leave_moments();
  } else if (call.norm.x) {
    outputs.write_gradient_of_norm();
  } else {
    outputs.write();
  }
}

// Calls function(kernel) with the kernel of a tile.
template <Conv3x3Direction kDirection, class Function>
void with_kernel(DType dtype, Conv3x3Tile tile, Function function) {
  with_float_type("conv3x3", dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (sizeof(T) == 2) {
      switch (tile) {
        case Conv3x3Tile::k256x64:
          return function(conv3x3_kernel<T, Conv3x3Tile::k256x64, kDirection>);
        case Conv3x3Tile::k128x128:
          return function(conv3x3_kernel<T, Conv3x3Tile::k128x128, kDirection>);
        case Conv3x3Tile::k128x64:
          return function(conv3x3_kernel<T, Conv3x3Tile::k128x64, kDirection>);
      }
    } else {
      reject("conv3x3", "the element type is not f16 or bf16");
    }
  });
}

// Where the tiles and their groups leave what batch norm needs: the groups first, for BatchNormPartials.
BatchNormScratch partials_in(const BatchNormMemory& memory, const Conv3x3Shape& shape, Conv3x3Tile tile,
                             std::int32_t columns) {
  if (!memory.workspace) return {};
  const std::int64_t rows = shape.pixels(), tile_rows = layout_of(tile).pixels;
  const std::int64_t group_rows = conv3x3_group_rows(shape, tile), groups = ceil_div(rows, group_rows);
  auto* const of_groups = static_cast<float*>(memory.workspace);
  return {.tiles = of_groups + 2 * groups * columns,
          .groups = of_groups,
          .tickets = memory.tickets,
          .rows = rows,
          .tile_rows = tile_rows,
          .channels = columns,
          .tile_count = static_cast<std::int32_t>(ceil_div(rows, tile_rows)),
          .group_count = static_cast<std::int32_t>(groups),
          .group_tiles = static_cast<std::int32_t>(group_rows / tile_rows)};
}

template <Conv3x3Direction kDirection, class Args>
void run_tile(Stream& stream, const char* name, const Args& args, const void* in, const void* add, void* out,
              const BatchNormGradient& norm, const BatchNormMemory& memory) {
  const Conv3x3Layout layout = layout_of(args.tile);
  const std::int32_t columns = args.shape.columns(kDirection);
  const BatchNormScratch partials = partials_in(memory, args.shape, args.tile, columns);
  const Dim3 grid{blocks_for(args.shape.pixels(), layout.pixels), blocks_for(columns, layout.columns)};
  const auto vectors = static_cast<std::uint32_t>(layout.columns / kWide);
  const Dim3 block{vectors, static_cast<std::uint32_t>(layout.threads()) / vectors};
  const std::size_t bytes = conv3x3_shared_bytes(args.shape, kDirection, args.tile);
  with_kernel<kDirection>(args.shape.dtype, args.tile, [&]<class T>(void (*kernel)(Conv3x3Call<T>)) {
    const Conv3x3Operands<T> operands{.in = static_cast<const T*>(in),
                                      .w = static_cast<const T*>(args.w),
                                      .pixels = static_cast<std::int32_t>(args.shape.pixels()),
                                      .height = args.shape.height,
                                      .width = args.shape.width,
                                      .terms = args.shape.terms(kDirection),
                                      .columns = columns};
    launch(stream, name, kernel, grid, block, bytes,
           Conv3x3Call<T>{operands, static_cast<const T*>(add), static_cast<T*>(out), norm, partials});
  });
}

}  // namespace

template <>
void run(Stream& stream, const Conv3x3ForwardArgs& args) {
  run_tile<Conv3x3Direction::kForward>(stream, "conv3x3_forward", args, args.x, nullptr, args.y, {},
                                       args.moments);
}

template <>
void run(Stream& stream, const Conv3x3DataArgs& args) {
  run_tile<Conv3x3Direction::kData>(stream, "conv3x3_data", args, args.dy, args.add, args.dx, args.norm,
                                    args.norm.memory);
}

bool prepare_conv3x3(Device& device, const Conv3x3Shape& shape, Conv3x3Direction direction,
                     Conv3x3Tile tile) {
  const std::size_t bytes = conv3x3_shared_bytes(shape, direction, tile);
  bool ready = false;
  const auto prepare = [&](auto kernel) { ready = allow_shared_memory(device, kernel, bytes); };
  if (direction == Conv3x3Direction::kForward)
    with_kernel<Conv3x3Direction::kForward>(shape.dtype, tile, prepare);
  else
    with_kernel<Conv3x3Direction::kData>(shape.dtype, tile, prepare);
  return ready;
}

}  // namespace tdds::TDDS_GPU
