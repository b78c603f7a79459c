// Tensor cores and asynchronous copies on simt: results in every order of threads, and each misuse, which is
// refused with the kernel's name.

#include "kernels/gpu/tensor_core.h"

#include <array>
#include <cmath>
#include <concepts>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/philox.h"
#include "tests/kernels/simt_launch.h"

namespace tdds::simt {
namespace {

constexpr std::uint32_t kRows = 16, kInner = 16, kColumns = 8;

template <class T>
class TensorCoreTest : public SimtLaunchTest {};
using CopyAsyncTest = SimtLaunchTest;
using HalfTypes = testing::Types<half_t, bf16_t>;
TYPED_TEST_SUITE(TensorCoreTest, HalfTypes);

// Values in -1 .. 1, different for each `series`.
template <class T>
std::vector<T> random_halves(std::size_t n, std::uint32_t series) {
  std::vector<T> values(n);
  for (std::size_t i = 0; i < n; ++i)
    values[i] = from_float<T>(static_cast<float>(2 * unit(philox(7, Purpose::kTest, series, i).w[0]) - 1));
  return values;
}

template <class C, class A, class B>
concept Multiplies = requires(C& c, const A& a, const B& b) {
  mma(c, a, b);
};
static_assert(Multiplies<Accumulator, MatrixA<half_t>, MatrixB<half_t>>);
static_assert(!Multiplies<Accumulator, MatrixB<half_t>, MatrixA<half_t>>);
static_assert(!Multiplies<Accumulator, MatrixA<half_t>, MatrixB<bf16_t>>);
static_assert(!Multiplies<MatrixA<half_t>, MatrixA<half_t>, MatrixB<half_t>>);

// Places read off the figures of the PTX ISA, and each element is held once.
TEST(MatrixLayoutTest, EqualsTheFigures) {
  const auto is = [](MatrixPlace at, std::uint32_t row, std::uint32_t column) {
    return at.row == row && at.column == column;
  };
  EXPECT_TRUE(is(a_place(0, 0), 0, 0) && is(a_place(0, 1), 0, 1) && is(a_place(0, 2), 8, 0));
  EXPECT_TRUE(is(a_place(0, 4), 0, 8) && is(a_place(0, 7), 8, 9) && is(a_place(31, 7), 15, 15));
  EXPECT_TRUE(is(a_place(5, 0), 1, 2) && is(a_place(5, 3), 9, 3) && is(a_place(28, 5), 7, 9));
  EXPECT_TRUE(is(b_place(0, 1), 1, 0) && is(b_place(0, 2), 8, 0) && is(b_place(3, 0), 6, 0));
  EXPECT_TRUE(is(b_place(4, 0), 0, 1) && is(b_place(31, 3), 15, 7));
  EXPECT_TRUE(is(accumulator_place(0, 1), 0, 1) && is(accumulator_place(0, 2), 8, 0));
  EXPECT_TRUE(is(accumulator_place(3, 0), 0, 6) && is(accumulator_place(31, 3), 15, 7));
  std::set<std::pair<std::uint32_t, std::uint32_t>> a, b, c;
  const auto add = [](auto& to, MatrixPlace at) { to.insert({at.row, at.column}); };
  for (std::uint32_t lane = 0; lane < kWarpSize; ++lane) {
    for (std::uint32_t i = 0; i < 8; ++i) add(a, a_place(lane, i));
    for (std::uint32_t i = 0; i < 4; ++i) add(b, b_place(lane, i));
    for (std::uint32_t i = 0; i < 4; ++i) add(c, accumulator_place(lane, i));
  }
  EXPECT_EQ(a.size(), kRows * kInner);
  EXPECT_EQ(b.size(), kInner * kColumns);
  EXPECT_EQ(c.size(), kRows * kColumns);
  EXPECT_EQ(*a.rbegin(), (std::pair{15u, 15u}));
  EXPECT_EQ(*b.rbegin(), (std::pair{15u, 7u}));
  EXPECT_EQ(*c.rbegin(), (std::pair{15u, 7u}));
}

template <class T>
void put(std::uint32_t* words, std::uint32_t i, T value) {
  words[i / 2] = i % 2 == 0 ? value.bits : words[i / 2] | std::uint32_t{value.bits} << 16;
}

// c += a b for each warp, with its own matrices, in row order.
template <class T>
__global__ void mma_kernel(const T* all_a, const T* all_b, float* all_c) {
  const std::uint32_t lane = rank_in_block() % kWarpSize, warp = rank_in_block() / kWarpSize;
  const T *a = all_a + warp * kRows * kInner, *b = all_b + warp * kInner * kColumns;
  float* c = all_c + warp * kRows * kColumns;
  MatrixA<T> left;
  MatrixB<T> right;
  Accumulator sums;
  for (std::uint32_t i = 0; i < 8; ++i)
    put(left.words, i, a[a_place(lane, i).row * kInner + a_place(lane, i).column]);
  for (std::uint32_t i = 0; i < 4; ++i)
    put(right.words, i, b[b_place(lane, i).row * kColumns + b_place(lane, i).column]);
  const auto at = [&](std::uint32_t i) -> float& {
    return c[accumulator_place(lane, i).row * kColumns + accumulator_place(lane, i).column];
  };
  for (std::uint32_t i = 0; i < 4; ++i) sums.v[i] = at(i);
  mma(sums, left, right);
  for (std::uint32_t i = 0; i < 4; ++i) at(i) = sums.v[i];
}

TYPED_TEST(TensorCoreTest, MultipliesAsADoubleReference) {
  constexpr std::uint32_t kWarps = 3;
  const auto a = random_halves<TypeParam>(kWarps * kRows * kInner, 1);
  const auto b = random_halves<TypeParam>(kWarps * kInner * kColumns, 2);
  std::vector<float> start(kWarps * kRows * kColumns), first;
  for (std::size_t i = 0; i < start.size(); ++i) start[i] = static_cast<float>(i) / 100 - 1;
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    std::vector<float> c = start;
    EXPECT_EQ(
        this->error_of(mma_kernel<TypeParam>, {1}, {kWarps * kWarpSize}, 0, a.data(), b.data(), c.data()),
        "");
    if (first.empty()) first = c;
    EXPECT_EQ(c, first) << "order " << static_cast<int>(schedule.order);
  }
  for (std::size_t i = 0; i < start.size(); ++i) {
    const std::size_t warp = i / (kRows * kColumns), row = i / kColumns % kRows, column = i % kColumns;
    double sum = start[i], magnitude = std::abs(sum);
    for (std::size_t k = 0; k < kInner; ++k) {
      const double product = double{to_float(a[(warp * kRows + row) * kInner + k])} *
                             to_float(b[(warp * kInner + k) * kColumns + column]);
      sum += product;
      magnitude += std::abs(product);
    }
    // Products are exact in float; each of 16 additions rounds by at most half an ulp of the sum so far.
    EXPECT_NEAR(first[i], sum, 16 * 0x1p-24 * magnitude) << i;
  }
}

TYPED_TEST(TensorCoreTest, InfinitiesAndNaNsPass) {
  std::vector<TypeParam> a(kRows * kInner), b(kInner * kColumns);
  for (std::size_t k = 0; k < kInner; ++k) b[k * kColumns] = from_float<TypeParam>(1);
  a[3 * kInner + 5] = from_float<TypeParam>(INFINITY);
  a[4 * kInner + 6] = from_float<TypeParam>(NAN);
  a[5 * kInner + 7] = TypeParam{1};  // the smallest subnormal
  std::vector<float> c(kRows * kColumns);
  EXPECT_EQ(this->error_of(mma_kernel<TypeParam>, {1}, {kWarpSize}, 0, a.data(), b.data(), c.data()), "");
  EXPECT_EQ(c[3 * kColumns], INFINITY);
  EXPECT_TRUE(std::isnan(c[3 * kColumns + 1])) << "infinity times 0";
  EXPECT_TRUE(std::isnan(c[4 * kColumns]));
  EXPECT_EQ(c[5 * kColumns], to_float(TypeParam{1}));
  EXPECT_EQ(c[6 * kColumns], 0);
}

// Rows of 24 elements, so that neither rows nor columns are contiguous with the next.
constexpr std::uint32_t kPitch = 24;

// What the lanes get of a 16 x 16 matrix whose element (y, x) is 16 y + x: 4 words a lane and form.
template <class T>
__global__ void load_matrix_kernel(std::uint32_t* out) {
  T* matrix = shared<T>(16 * kPitch);
  const std::uint32_t lane = thread_id().x;
  for (std::uint32_t i = lane; i < 256; i += kWarpSize)
    matrix[i / 16 * kPitch + i % 16] = {static_cast<std::uint16_t>(i)};
  sync_block();
  const MatrixA<T> a = load_matrix_a(matrix + lane % 16 * kPitch + lane / 16 * 8);
  const MatrixBPair<T> b = load_matrix_b(matrix + (lane % 8 + lane / 16 * 8) * kPitch + lane / 8 % 2 * 8);
  const MatrixBPair<T> t = load_matrix_b_transposed(matrix + lane % 16 * kPitch + lane / 16 * 8);
  for (std::uint32_t j = 0; j < 4; ++j) {
    out[lane * 12 + j] = a.words[j];
    out[lane * 12 + 4 + j] = (j < 2 ? b.left : b.right).words[j % 2];
    out[lane * 12 + 8 + j] = (j < 2 ? t.left : t.right).words[j % 2];
  }
}

TYPED_TEST(TensorCoreTest, LoadsMatricesInThreeForms) {
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    std::vector<std::uint32_t> out(kWarpSize * 12, 0xFFFFFFFF);
    EXPECT_EQ(this->error_of(load_matrix_kernel<TypeParam>, {1}, {kWarpSize}, 16 * kPitch * 2, out.data()),
              "");
    for (std::uint32_t lane = 0; lane < kWarpSize; ++lane)
      for (std::uint32_t i = 0; i < 8; ++i) {
        const auto got = [&](std::uint32_t form) {
          return out[lane * 12 + form * 4 + i / 2] >> (i % 2 * 16) & 0xFFFF;
        };
        const MatrixPlace a = a_place(lane, i), b = b_place(lane, i % 4);
        const std::uint32_t column = b.column + i / 4 * 8;  // of the pair
        EXPECT_EQ(got(0), 16 * a.row + a.column) << "a, lane " << lane << ", element " << i;
        EXPECT_EQ(got(1), 16 * column + b.row) << "b, lane " << lane << ", element " << i;
        EXPECT_EQ(got(2), 16 * b.row + column) << "b transposed, lane " << lane << ", element " << i;
      }
  }
}

enum class Mistake { kNone, kNoWait, kWaitsForTooFew, kNoBarrier, kNoBarrierBeforeRefill, kNeverWaits };
constexpr std::uint32_t kTiles = 5, kWarps = 2, kStageElements = (kRows * kWarps + kColumns * 2) * kInner;

// c = a b with 32 x 80 and 80 x 16 elements: two warps, each with 16 rows; tiles of 16 along k are copied to
// two stages in turn, one ahead. `a` and `b` are stored tile by tile, [row][k] and [k][column].
__global__ void pipeline_kernel(const half_t* a, const half_t* b, float* c, Mistake mistake) {
  half_t* stages = shared<half_t>(2 * kStageElements);
  const std::uint32_t thread = thread_id().x, lane = thread % kWarpSize, warp = thread / kWarpSize;
  constexpr std::uint32_t kElementsA = kRows * kWarps * kInner, kElementsB = kInner * 2 * kColumns;
  const auto copy = [&](std::uint32_t tile) {
    half_t* stage = stages + tile % 2 * kStageElements;
    copy_async16(stage + thread * 8, a + tile * kElementsA + thread * 8);
    if (thread < kElementsB / 8)
      copy_async16(stage + kElementsA + thread * 8, b + tile * kElementsB + thread * 8);
  };
  Accumulator left, right;
  copy(0);
  copy_async_commit();
  for (std::uint32_t tile = 0; tile < kTiles; ++tile) {
    if (tile + 1 < kTiles) copy(tile + 1);
    copy_async_commit();
    if (mistake == Mistake::kWaitsForTooFew)
      copy_async_wait<2>();
    else if (mistake != Mistake::kNoWait)
      copy_async_wait<1>();
    if (mistake != Mistake::kNoBarrier) sync_block();
    const half_t* stage = stages + tile % 2 * kStageElements;
    const MatrixA<half_t> rows = load_matrix_a(stage + (warp * kRows + lane % 16) * kInner + lane / 16 * 8);
    const MatrixBPair<half_t> columns =
        load_matrix_b_transposed(stage + kElementsA + lane % 16 * 2 * kColumns + lane / 16 * 8);
    mma(left, rows, columns.left);
    mma(right, rows, columns.right);
    if (mistake != Mistake::kNoBarrierBeforeRefill) sync_block();
  }
  if (mistake == Mistake::kNeverWaits) {
    copy(0);
    copy_async_commit();
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    const MatrixPlace at = accumulator_place(lane, i);
    c[(warp * kRows + at.row) * 2 * kColumns + at.column] = left.v[i];
    c[(warp * kRows + at.row) * 2 * kColumns + at.column + kColumns] = right.v[i];
  }
}

class PipelineTest : public SimtLaunchTest {
 protected:
  static constexpr std::uint32_t kM = kRows * kWarps, kN = 2 * kColumns;

  std::string error_with(Mistake mistake) {
    return error_of(pipeline_kernel, {1}, {kWarps * kWarpSize}, 2 * kStageElements * sizeof(half_t),
                    a_.data(), b_.data(), c_.data(), mistake);
  }

  std::vector<half_t> a_ = random_halves<half_t>(std::size_t{kTiles} * kM * kInner, 3);
  std::vector<half_t> b_ = random_halves<half_t>(std::size_t{kTiles} * kInner * kN, 4);
  std::vector<float> c_ = std::vector<float>(kM * kN);
};

TEST_F(PipelineTest, ComputesWhileItCopies) {
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    c_.assign(c_.size(), NAN);
    EXPECT_EQ(error_with(Mistake::kNone), "");
    for (std::size_t i = 0; i < c_.size(); ++i) {
      const std::size_t row = i / kN, column = i % kN;
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < kTiles * kInner; ++k) {
        const std::size_t tile = k / kInner;
        const double product =
            double{to_float(a_[(tile * kM + row) * kInner + k % kInner])} * to_float(b_[k * kN + column]);
        sum += product;
        magnitude += std::abs(product);
      }
      // 80 exact products with as many additions, each of which rounds by at most half an ulp.
      ASSERT_NEAR(c_[i], sum, 80 * 0x1p-24 * magnitude)
          << i << ", order " << static_cast<int>(schedule.order);
    }
  }
}

TEST_F(PipelineTest, MistakesAreErrorsWithTheKernelsName) {
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    for (const Mistake mistake : {Mistake::kNoWait, Mistake::kWaitsForTooFew}) {
      const std::string text = error_with(mistake);
      expect_text(text, "kernel seeded, thread (");
      expect_text(text, "simt_tensor_core_test.cpp");
      expect_text(text, "it has not waited");
    }
    expect_text(error_with(Mistake::kNoBarrier), "may touch it before the next barrier");
    expect_text(error_with(Mistake::kNoBarrierBeforeRefill), "it has not waited");
    expect_text(error_with(Mistake::kNeverWaits), "kernel seeded, thread (");
    expect_text(error_with(Mistake::kNeverWaits), "ends without having waited for its copy at");
    EXPECT_EQ(error_with(Mistake::kNone), "") << "the executor must work after errors";
  }
}

enum class Barrier { kNone, kWarp, kBlock };

// Lane 0 copies; then `reader` reads the bytes 16 at a time, or all lanes load them as matrices.
__global__ void private_bytes_kernel(const half_t* from, std::uint32_t reader, bool matrix, Barrier barrier) {
  half_t* to = shared<half_t>(8);
  if (thread_id().x == 0) copy_async16(to, from);
  copy_async_commit();
  copy_async_wait<0>();
  if (barrier == Barrier::kWarp) sync_warp();
  if (barrier == Barrier::kBlock) sync_block();
  if (matrix) load_matrix_a(to);
  if (thread_id().x == reader) load16(to);
}

TEST_F(CopyAsyncTest, BytesArePrivateUntilABarrierOfTheBlock) {
  alignas(16) const half_t from[8] = {};
  const auto read_by = [&](std::uint32_t reader, bool matrix, Barrier barrier) {
    return error_of(private_bytes_kernel, {1}, {64}, 16, from, reader, matrix, barrier);
  };
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    EXPECT_EQ(read_by(0, false, Barrier::kNone), "") << "the thread sees its own copy";
    EXPECT_EQ(read_by(1, false, Barrier::kBlock), "");
    EXPECT_EQ(read_by(1, true, Barrier::kBlock), "");
  }
  const ScheduleScope scope({Schedule::Order::kForward});
  expect_text(read_by(1, false, Barrier::kNone), "byte 0 of shared memory, to which thread 0 has copied at");
  expect_text(read_by(1, false, Barrier::kWarp), "only this thread may touch it");
  expect_text(read_by(40, false, Barrier::kWarp), "only this thread may touch it");
  // A matrix goes to all lanes.
  expect_text(read_by(0, true, Barrier::kNone), "only this thread may touch it");
}

__global__ void copy_again_kernel(const half_t* from) {
  half_t* to = shared<half_t>(32 * 8) + thread_id().x * 8;
  for (int i = 0; i < 2; ++i) {
    copy_async16(to, from);
    copy_async_commit();
    if (i == 0) copy_async_wait<0>();
  }
  sync_block();
  load16(to);
}

TEST_F(CopyAsyncTest, ABarrierDoesNotWaitForCopies) {
  alignas(16) const half_t from[8] = {};
  expect_text(error_of(copy_again_kernel, {1}, {32}, 512, from), "it has not waited");
}

// What threads find without asking the vocabulary: NaN bits until the thread waits.
__global__ void landing_kernel(const std::uint16_t* from, std::uint16_t* seen) {
  auto* to = shared<std::uint16_t>(32 * 8) + thread_id().x * 8;
  for (int i = 0; i < 8; ++i) to[i] = 1;
  copy_async16(to, from + thread_id().x * 8);
  copy_async_commit();
  seen[thread_id().x * 3] = to[3];
  copy_async_wait<1>();
  seen[thread_id().x * 3 + 1] = to[3];
  copy_async_wait<0>();
  seen[thread_id().x * 3 + 2] = to[3];
}

TEST_F(CopyAsyncTest, BytesComeAtTheWait) {
  alignas(16) std::array<std::uint16_t, 256> from{};
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::uint16_t>(i);
  std::vector<std::uint16_t> seen(96);
  EXPECT_EQ(error_of(landing_kernel, {1}, {32}, 512, from.data(), seen.data()), "");
  for (std::uint16_t thread = 0; thread < 32; ++thread) {
    EXPECT_EQ(seen[thread * 3], 0xFFFF);
    EXPECT_EQ(seen[thread * 3 + 1], 0xFFFF) << "one group may be under way";
    EXPECT_EQ(seen[thread * 3 + 2], thread * 8 + 3);
  }
}

// An uncommitted copy belongs to no group, so no wait is for it.
__global__ void uncommitted_kernel(const half_t* from) {
  copy_async16(shared<half_t>(32 * 8) + thread_id().x * 8, from);
  copy_async_wait<0>();
}

__global__ void copy_to_kernel(const half_t* from, half_t* outside, std::uint32_t to, bool twice) {
  half_t* at = outside ? outside : shared<half_t>(64) + to;
  if (thread_id().x != 0) return;
  copy_async16(at, from);
  if (twice) copy_async16(at, from);
  copy_async_commit();
  copy_async_wait<0>();
  store16(at, load16(from));
}

TEST_F(CopyAsyncTest, RefusesWhatAGpuRefuses) {
  alignas(16) half_t from[16] = {}, outside[8] = {};
  half_t* none = nullptr;
  const auto copied = [&](const half_t* source, half_t* elsewhere, std::uint32_t to, bool twice = false) {
    return error_of(copy_to_kernel, {1}, {32}, 128, source, elsewhere, to, twice);
  };
  EXPECT_EQ(copied(from, none, 8), "");
  expect_text(copied(from, none, 4), "not a multiple of 16");
  expect_text(copied(from + 1, none, 8), "kernel seeded, thread (0, 0, 0)");
  expect_text(copied(from + 1, none, 8), "not a multiple of 16");
  expect_text(copied(from, outside, 0), "is not to shared memory");
  expect_text(error_of(copy_to_kernel, {1}, {32}, 136, from, none, 64, false), "is not to shared memory");
  expect_text(copied(from, none, 8, true), "it has not waited");
  expect_text(error_of(uncommitted_kernel, {1}, {32}, 512, from), "ends without having waited");
}

__global__ void load_from_kernel(const half_t* outside, std::uint32_t at) {
  half_t* matrix = shared<half_t>(32);
  load_matrix_b(outside ? outside : matrix + at);
}

__global__ void divergent_mma_kernel() {
  Accumulator c;
  if (thread_id().x < 16)
    mma(c, MatrixA<half_t>{}, MatrixB<half_t>{});
  else
    mma(c, MatrixA<half_t>{}, MatrixB<half_t>{});
}

TEST_F(CopyAsyncTest, MatrixLoadsAreAlignedSharedAndOfTheWholeWarp) {
  alignas(16) half_t outside[8] = {};
  const half_t* none = nullptr;
  EXPECT_EQ(error_of(load_from_kernel, {1}, {32}, 64, none, 8), "");
  expect_text(error_of(load_from_kernel, {1}, {32}, 64, none, 9), "not a multiple of 16");
  expect_text(error_of(load_from_kernel, {1}, {32}, 64, outside, 0), "is not from shared memory");
  expect_text(error_of(load_from_kernel, {1}, {32}, 64, none, 32), "is not from shared memory");
  expect_text(error_of(divergent_mma_kernel, {1}, {32}, 0), "other lanes of its warp wait at");
}

}  // namespace
}  // namespace tdds::simt
