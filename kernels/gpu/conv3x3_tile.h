#pragma once
// The products of conv3x3.cu: a block's tile of pixels x columns, in the accumulators of its warps.
//
// Shared memory consists of rows of 128 bytes: 64 values, in 8 chunks of 16 bytes. Chunk j of row i lies at
// place j ^ (i % 8). A matrix instruction reads the same chunk of 8 consecutive rows, and these are then in
// different banks.
//
//   halo     [buffer][row][64 terms]  the values that the tile's pixels and their neighbours have
//   filters  [stage][row][64]         forward: a row per column, of 64 terms; data gradient: a row per term,
//                                     of 64 columns, one such piece after the other
//   zeros    [64]                     read in place of a neighbour outside of the image
//
// In the flattened order of all pixels of a batch, the neighbour (r, s) of pixel p is p + (r - 1) W + s - 1.
// So the halo of consecutive pixels is a range for every width, which crosses rows and images:
//
//   row of the halo     0   1  ...        |  W + 1     ...  W + kPixels |      ...      2 W + kPixels + 1
//   pixel, from p0   -W-1  -W  ...     -1 |      0     ...  kPixels - 1 |  kPixels  ...       W + kPixels

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/tensor_core.h"
#include "kernels/gpu/vectors.h"
#include "kernels/ops/conv3x3.h"

namespace tdds::TDDS_GPU {

inline constexpr int kRow = 64;   // values of a row of shared memory
inline constexpr int kTaps = 9;   // of a filter
inline constexpr int kStep = 16;  // terms of one matrix product
inline constexpr int kRowBytes = 2 * kRow, kChunk = 8;

__device__ constexpr int permuted(int row, int column) {
  return column ^ ((row & 7) * kChunk);
}
__device__ constexpr int place(int row, int column) {
  return row * kRow + permuted(row, column);
}

// The operands. `in` has `terms` channels, `out` has `columns`.
template <class T>
struct Conv3x3Operands {
  const T *in, *w;
  std::int32_t pixels;  // B H W
  std::int32_t height, width, terms, columns;
};

template <class T, Conv3x3Tile kTile, Conv3x3Direction kDirection>
struct Conv3x3Products {
  static constexpr Conv3x3Layout kLayout = layout_of(kTile);
  static constexpr bool kForward = kDirection == Conv3x3Direction::kForward;
  static constexpr int kPixels = kLayout.pixels, kColumns = kLayout.columns;
  static constexpr int kThreads = kLayout.threads(), kStages = kLayout.stages;
  static constexpr int kWarpPixels = kPixels / kLayout.warps_down;
  static constexpr int kWarpColumns = kColumns / kLayout.warps_across;
  static constexpr int kDown = kWarpPixels / 16, kAcross = kWarpColumns / 8;  // accumulators of a warp
  static constexpr int kSteps = kRow / kStep / kLayout.split;                 // of a warp, of each tap
  static_assert(kThreads % kRow == 0 && kWarpColumns <= kRow && kStages - 1 <= kTaps);

  const Conv3x3Operands<T>& args;
  T* memory;
  int halo_rows, halo, zeros;              // halo, zeros: places in the memory
  std::int32_t first_pixel, first_column;  // of the tile
  std::uint32_t lane;
  int warp_pixel, warp_column, part;  // the warp's first output in the tile, and its part of the sums
  std::uint32_t inside[kDown];        // taps_inside() of the lane's pixels
  Accumulator sums[kDown][kAcross];

  __device__ explicit Conv3x3Products(const Conv3x3Operands<T>& operands)
      : args(operands),
        halo_rows(kPixels + 2 * args.width + 2),
        halo(kStages * kColumns * kRow),
        zeros(halo + halo_buffers() * halo_rows * kRow),
        first_pixel(static_cast<std::int32_t>(block_id().x) * kPixels),
        first_column(static_cast<std::int32_t>(block_id().y) * kColumns),
        lane(rank_in_block() % kWarpSize) {
    memory = shared<T>(static_cast<std::size_t>(zeros + kRow));
    const int warp = static_cast<int>(rank_in_block() / kWarpSize);
    warp_column = warp % kLayout.warps_across * kWarpColumns;
    warp_pixel = warp / kLayout.warps_across % kLayout.warps_down * kWarpPixels;
    part = warp / (kLayout.warps_across * kLayout.warps_down);
    if (rank_in_block() < kRow / kChunk) store16(memory + zeros + rank_in_block() * kChunk, Pack16<T>{});
    unrolled<kDown>([&](auto i) { inside[i] = taps_inside(first_pixel + pixel_of(i)); });
  }

  // With 64 terms or fewer, only one buffer is used.
  __device__ int halo_buffers() const { return args.terms > kRow ? 2 : 1; }
  // The pixel in the tile whose row of the i-th operand A the lane addresses.
  __device__ int pixel_of(int i) const { return warp_pixel + 16 * i + static_cast<int>(lane % 16); }

  // Bit t is set where the pixel has a neighbour at tap t; an octal digit is a row of the filter.
  __device__ std::uint32_t taps_inside(std::int32_t pixel) const {
    if (pixel >= args.pixels) return 0;
    const std::int32_t row = pixel / args.width % args.height, column = pixel % args.width;
    const std::uint32_t rows = (row > 0 ? 0007u : 0u) | 0070u | (row + 1 < args.height ? 0700u : 0u);
    const std::uint32_t columns = (column > 0 ? 0111u : 0u) | 0222u | (column + 1 < args.width ? 0444u : 0u);
    return rows & columns;
  }

  // Begins to copy the halo of 64 terms.
  __device__ void copy_halo(int chunk) const {
    const int column = static_cast<int>(rank_in_block()) % (kRow / kChunk) * kChunk;
    const std::int32_t first = first_pixel - args.width - 1;
    T* to = memory + halo + chunk % 2 * halo_rows * kRow;
    for (int row = static_cast<int>(rank_in_block()) / (kRow / kChunk); row < halo_rows;
         row += kThreads / (kRow / kChunk)) {
      const std::int32_t pixel = first + row;
      if (pixel >= 0 && pixel < args.pixels)
        copy_async16(to + place(row, column),
                     args.in + std::int64_t{pixel} * args.terms + chunk * kRow + column);
    }
  }

  // Begins to copy the filters of 64 terms and one tap. w [K][tap][C]; the data gradient reads it mirrored.
  __device__ void copy_filters(int iteration) const {
    const int column = static_cast<int>(rank_in_block()) % (kRow / kChunk) * kChunk;
    const int chunk = iteration / kTaps, tap = iteration % kTaps;
    T* to = memory + iteration % kStages * kColumns * kRow;
    for (int row = static_cast<int>(rank_in_block()) / (kRow / kChunk); row < kColumns;
         row += kThreads / (kRow / kChunk)) {
      const std::int64_t from =
          kForward ? (std::int64_t{first_column + row} * kTaps + tap) * args.terms + chunk * kRow
                   : (std::int64_t{chunk * kRow + row % kRow} * kTaps + kTaps - 1 - tap) * args.columns +
                         first_column + row / kRow * kRow;
      copy_async16(to + place(row, column), args.w + from + column);
    }
  }

  // Adds the products of 64 terms and one tap, or the warp's part of them.
  __device__ void multiply(int iteration) {
    const int chunk = iteration / kTaps, tap = iteration % kTaps;
    const int shift = tap / 3 * args.width + tap % 3;  // from a pixel of the tile to its row of the halo
    const int half = static_cast<int>(lane / 16) * kChunk, first_step = part * kSteps * kStep;
    const int buffer = halo + chunk % 2 * halo_rows * kRow;
    int a_at[kDown];
    unrolled<kDown>([&](auto i) {
      const int row = pixel_of(i) + shift;
      const int from = (inside[i] >> tap & 1u) != 0 ? buffer + row * kRow : zeros;
      a_at[i] = from + (permuted(row, half) ^ first_step);
    });
    const int b_at = iteration % kStages * kColumns * kRow + b_row_place(first_step);
    unrolled<kSteps>([&](auto step) {
      MatrixA<T> a[kDown];
      unrolled<kDown>([&](auto i) { a[i] = load_matrix_a(memory + (a_at[i] ^ step * kStep)); });
      unrolled<kAcross / 2>([&](auto j) {
        const MatrixBPair<T> b = load_b(b_at, step * kStep, j * 16);
        unrolled<kDown>([&](auto i) {
          mma(sums[i][2 * j], a[i], b.left);
          mma(sums[i][2 * j + 1], a[i], b.right);
        });
      });
    });
  }

  // Where the lane's row of the first operand B lies in a stage.
  __device__ int b_row_place(int first_step) const {
    const auto l = static_cast<int>(lane);
    if constexpr (kForward) return place(warp_column + l % 8 + l / 16 * 8, l / 8 % 2 * kChunk) ^ first_step;
    return warp_column / kRow * kRow * kRow +
           place(first_step + l % 16, warp_column % kRow + l / 16 * kChunk);
  }
  // 16 terms from `term` on and 16 columns from `column` on.
  __device__ MatrixBPair<T> load_b(int at, int term, int column) const {
    if constexpr (kForward) return load_matrix_b(memory + ((at + column * kRow) ^ term));
    return load_matrix_b_transposed(memory + ((at + term * kRow) ^ column));
  }

  // All products. Copies run kStages - 1 iterations ahead; those of a chunk's halo begin with the first tap
  // of the chunk before, whose buffer the barrier has made free.
  __device__ void run() {
    const int chunks = args.terms / kRow, iterations = chunks * kTaps;
    copy_halo(0);
    for (int ahead = 0; ahead < kStages - 1; ++ahead) {
      copy_filters(ahead);
      copy_async_commit();
    }
    for (int iteration = 0; iteration < iterations; ++iteration) {
      copy_async_wait<kStages - 2>();
      sync_block();
      if (iteration % kTaps == 0 && iteration + kTaps < iterations) copy_halo(iteration / kTaps + 1);
      if (iteration + kStages - 1 < iterations) copy_filters(iteration + kStages - 1);
      copy_async_commit();  // also an empty group, so that the number of pending groups stays the same
      multiply(iteration);
    }
    copy_async_wait<0>();
    sync_block();  // the memory may be used for something else
  }
};

}  // namespace tdds::TDDS_GPU
