#pragma once
// The part of the kernels' vocabulary (kernels/gpu/gpu.h) for tensor cores, and for copies to shared memory
// that run while the kernel computes. T is half_t or bf16_t.
//
// A warp holds a matrix together: each lane has the elements that kernels/numerics/matrix_layout.h gives it.
// All lanes of a warp call mma() and load_matrix_...() together, from the same place in the code. Operands
// are types, so that exchanged ones do not compile.
//
//   mma(c, a, b)                  c += a b with sums in fp32 (mma.sync.aligned.m16n8k16.row.col)
//   load_matrix_a(at), load_matrix_b(at), load_matrix_b_transposed(at)
//                                 (ldmatrix.x4) Lane l gives the address of 8 elements in shared memory,
//                                 aligned to 16 bytes. The first of them is
//                                   a: row l % 16, k = 8 (l / 16), in memory [row][k]
//                                   b: column l % 8 + 8 (l / 16), k = 8 (l / 8 % 2), in memory [column][k]
//                                   b_transposed: k = l % 16, column 8 (l / 16), in memory [k][column]
//   copy_async16(to_shared, from) begins to copy 16 bytes from the device's memory to shared memory, both
//                                 aligned to 16 bytes (cp.async.cg). Until the thread has waited, nothing may
//                                 read or write the bytes in shared memory.
//   copy_async_commit()           makes a group of the copies that the thread has begun since the last group
//   copy_async_wait<kPending>()   waits until all groups of the thread have come, except the last kPending.
//                                 What has come is visible to this thread alone, and to the block after the
//                                 next sync_block(). A thread waits for all of its copies before it ends.

#include <cstdint>

#include "kernels/gpu/gpu.h"
#include "kernels/numerics/matrix_layout.h"

namespace tdds::TDDS_GPU {

// 16 x 16: rows by k, 8 elements a lane.
template <class T>
struct MatrixA {
  std::uint32_t words[4];
};
// 16 x 8: k by columns.
template <class T>
struct MatrixB {
  std::uint32_t words[2];
};
// 16 x 8 sums.
struct Accumulator {
  float v[4] = {};
};
// 16 x 16: k by columns, the left and the right 8 columns.
template <class T>
struct MatrixBPair {
  MatrixB<T> left, right;
};

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, half_t> || std::is_same_v<T, bf16_t>;

}  // namespace tdds::TDDS_GPU

#ifdef __CUDACC__
#include "kernels/gpu/tensor_core_device.h"
#else
#include "kernels/simt/tensor_core_host.h"
#endif
