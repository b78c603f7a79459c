// Runs the instructions of kernels/gpu/tensor_core.h once, each in a way that shows the places of all
// elements.
//
// Parallel over: the lanes of one warp.
// Held in:       registers, and 96 KB of shared memory, of which the first and the last part are used.
// Bytes per row: see bench/matrix_probe.h.
// Deterministic: there is one warp.

#include "bench/matrix_probe.h"

#include "kernels/gpu/tensor_core.h"
#include "kernels/ops/run.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kSide = kMatrixSide, kElements = kMatrixElements;
constexpr std::size_t kSharedBytes = 96 * 1024;  // more than needs no opt-in, and less than every GPU has
// Rows are farther apart than they are long, so that a wrong address does not find the next row.
constexpr std::uint32_t kPitch = 24;

template <class T>
__device__ void put(std::uint32_t* words, std::uint32_t i, T value) {
  words[i / 2] = i % 2 == 0 ? value.bits : words[i / 2] | std::uint32_t{value.bits} << 16;
}
template <class T>
__device__ T get(const std::uint32_t* words, std::uint32_t i) {
  return {static_cast<std::uint16_t>(words[i / 2] >> (i % 2 * 16))};
}

template <class T>
__device__ void multiply_from_registers(const MatrixProbe<T>& probe, std::uint32_t lane) {
  MatrixA<T> a;
  MatrixB<T> b;
  Accumulator c;
  for (std::uint32_t i = 0; i < 8; ++i) {
    const MatrixPlace at = a_place(lane, i);
    put(a.words, i, probe.a[at.row * kSide + at.column]);
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    const MatrixPlace at = b_place(lane, i);
    put(b.words, i, probe.b[at.row * kSide + at.column]);
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    const MatrixPlace at = accumulator_place(lane, i);
    c.v[i] = probe.c[at.row * kSide + at.column];
  }
  mma(c, a, b);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const MatrixPlace at = accumulator_place(lane, i);
    probe.product[at.row * 8 + at.column] = c.v[i];
  }
}

// Writes a pair to its places in a 16 x 16 matrix [k][column].
template <class T>
__device__ void write_pair(T* to, const MatrixBPair<T>& pair, std::uint32_t lane) {
  for (std::uint32_t i = 0; i < 4; ++i) {
    const MatrixPlace at = b_place(lane, i);
    to[at.row * kSide + at.column] = get<T>(pair.left.words, i);
    to[at.row * kSide + at.column + 8] = get<T>(pair.right.words, i);
  }
}

template <class T>
__device__ void multiply_from_shared(const MatrixProbe<T>& probe, std::uint32_t lane) {
  T* rows = shared<T>(3 * kSide * kPitch);
  T *columns = rows + kSide * kPitch, *inner = columns + kSide * kPitch;
  for (std::uint32_t i = lane; i < kElements; i += kWarpSize) {
    const std::uint32_t y = i / kSide, x = i % kSide;
    rows[y * kPitch + x] = probe.a[i];
    columns[x * kPitch + y] = probe.b[i];
    inner[y * kPitch + x] = probe.b[i];
  }
  sync_block();
  const MatrixA<T> a = load_matrix_a(rows + lane % 16 * kPitch + lane / 16 * 8);
  const MatrixBPair<T> b = load_matrix_b(columns + (lane % 8 + lane / 16 * 8) * kPitch + lane / 8 % 2 * 8);
  const MatrixBPair<T> again = load_matrix_b_transposed(inner + lane % 16 * kPitch + lane / 16 * 8);
  for (std::uint32_t i = 0; i < 8; ++i) {
    const MatrixPlace at = a_place(lane, i);
    probe.loaded[at.row * kSide + at.column] = get<T>(a.words, i);
  }
  write_pair(probe.loaded + kElements, b, lane);
  write_pair(probe.loaded + 2 * kElements, again, lane);

  Accumulator left, right;
  for (std::uint32_t i = 0; i < 4; ++i) {
    const MatrixPlace at = accumulator_place(lane, i);
    left.v[i] = probe.c[at.row * kSide + at.column];
    right.v[i] = probe.c[at.row * kSide + at.column + 8];
  }
  mma(left, a, b.left);
  mma(right, a, again.right);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const MatrixPlace at = accumulator_place(lane, i);
    probe.loaded_product[at.row * kSide + at.column] = left.v[i];
    probe.loaded_product[at.row * kSide + at.column + 8] = right.v[i];
  }
}

// To the end of shared memory. A lane reads its own bytes of the first group, and those of another lane of
// the second.
template <class T>
__device__ void copy_in_groups(const MatrixProbe<T>& probe, std::uint32_t lane) {
  T* first = shared<T>(2 * kElements, kSharedBytes - 2 * kElements * sizeof(T));
  T* second = first + kElements;
  copy_async16(first + lane * 8, probe.a + lane * 8);
  copy_async_commit();
  copy_async16(second + lane * 8, probe.b + lane * 8);
  copy_async_commit();
  copy_async_wait<1>();
  store16(probe.copied + lane * 8, load16(first + lane * 8));
  copy_async_wait<0>();
  sync_block();
  const std::uint32_t other = kWarpSize - 1 - lane;
  store16(probe.copied + kElements + other * 8, load16(second + other * 8));
}

template <class T>
__global__ void __launch_bounds__(kWarpSize) matrix_probe_kernel(MatrixProbe<T> probe) {
  wait_for_previous();
  const std::uint32_t lane = thread_id().x;
  multiply_from_registers(probe, lane);
  multiply_from_shared(probe, lane);
  copy_in_groups(probe, lane);
  if (lane == 0) *probe.base = reinterpret_cast<std::uintptr_t>(shared<T>(1)) % 1024;
}

template <class T>
void launch_probe(Stream& stream, const MatrixProbe<T>& probe) {
  if (!allow_shared_memory(stream.device(), matrix_probe_kernel<T>, kSharedBytes))
    reject("matrix_probe", "a block cannot have 96 KB of shared memory");
  launch(stream, "matrix_probe", matrix_probe_kernel<T>, {1}, {kWarpSize}, kSharedBytes, probe);
}

}  // namespace

template <>
void run(Stream& stream, const MatrixProbe<half_t>& probe) {
  launch_probe(stream, probe);
}
template <>
void run(Stream& stream, const MatrixProbe<bf16_t>& probe) {
  launch_probe(stream, probe);
}

}  // namespace tdds::TDDS_GPU
