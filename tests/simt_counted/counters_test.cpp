// The counters of kernels on simt equal counts made by hand. This file is compiled as the counted kernels
// are, so its kernels are in simt_counted.

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/gpu/tensor_core.h"
#include "kernels/gpu/vectors.h"
#include "kernels/ops/ops.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"
#include "kernels/simt/schedule.h"

namespace tdds::TDDS_GPU {
namespace {

class CountersTest : public testing::Test {
 protected:
  // The counters of one launch, which are the same in every order of threads and blocks.
  template <class... Types, class... Arguments>
  KernelCounters counted(void (*kernel)(Types...), Dim3 grid, Dim3 block, std::size_t shared_bytes,
                         Arguments... arguments) {
    using Order = Schedule::Order;
    KernelCounters first;
    for (const Schedule schedule : {Schedule{Order::kForward}, {Order::kReversed}, {Order::kShuffled, 1}}) {
      const ScheduleScope scope(schedule);
      const auto device = make_host_device(DeviceKind::kSimt, Ops{}, {.count_accesses = true});
      launch(*device->make_stream(), "counted", kernel, grid, block, shared_bytes, arguments...);
      const KernelCounts& counts = *device->kernel_counts();
      EXPECT_EQ(counts.size(), 1u);
      if (schedule.order == Order::kForward) first = counts.front();
      EXPECT_EQ(text(counts.front()), text(first)) << "order " << static_cast<int>(schedule.order);
    }
    return first;
  }

  static std::string text(const GlobalRequests& of) {
    return fmt::format("{} requests, {} lanes, {} sectors, {} bytes", of.requests, of.lanes, of.sectors,
                       of.bytes);
  }
  static std::string text(const SharedRequests& of) {
    return fmt::format("{} requests, {} lanes, {} conflicts", of.requests, of.lanes, of.conflicts);
  }
  static std::string text(const KernelCounters& of) {
    return fmt::format("{} launches, {} blocks of {}, {}; loads {}; stores {}; shared {}; {} {} {} {}",
                       of.launches, of.blocks, of.threads, of.shared_bytes, text(of.loads), text(of.stores),
                       text(of.shared), of.atomics, of.barriers, of.warp_waits, of.mma);
  }
};

constexpr const char* kNothing = "0 requests, 0 lanes, 0 sectors, 0 bytes";
constexpr const char* kNothingShared = "0 requests, 0 lanes, 0 conflicts";

// Memory that begins at a sector.
template <class T>
struct Memory {
  alignas(64) std::array<T, 4096> values{};
  T* data() { return values.data(); }
};

__global__ void copy_kernel(const float* from, float* to, std::uint32_t stride) {
  wait_for_previous();
  const std::int64_t i = global_thread() * stride;
  to[i] = from[i];
}

// 2 blocks of 4 warps. The 32 floats of a warp are 128 bytes, 4 sectors.
TEST_F(CountersTest, CoalescedCopy) {
  Memory<float> from, to;
  const KernelCounters counters = counted(copy_kernel, {2}, {128}, 0, from.data(), to.data(), 1);
  EXPECT_EQ(text(counters),
            "1 launches, 2 blocks of 128, 0; loads 8 requests, 256 lanes, 32 sectors, 1024 "
            "bytes; stores 8 requests, 256 lanes, 32 sectors, 1024 bytes; shared 0 requests, 0 "
            "lanes, 0 conflicts; 0 0 0 0");
}

// A float in each sector of 8 floats: 32 sectors a request, the planted uncoalesced access. With a stride of
// 2, half of each sector is used. One float further, the warp's 128 bytes begin within a sector.
TEST_F(CountersTest, UncoalescedCopy) {
  Memory<float> from, to;
  EXPECT_EQ(text(counted(copy_kernel, {1}, {128}, 0, from.data(), to.data(), 8).loads),
            "4 requests, 128 lanes, 128 sectors, 512 bytes");
  EXPECT_EQ(text(counted(copy_kernel, {1}, {128}, 0, from.data(), to.data(), 2).stores),
            "4 requests, 128 lanes, 32 sectors, 512 bytes");
  EXPECT_EQ(text(counted(copy_kernel, {1}, {32}, 0, from.data() + 1, to.data(), 1).loads),
            "1 requests, 32 lanes, 5 sectors, 128 bytes");
}

__device__ [[gnu::noipa]] float value_at(const float* at) {
  return *at;
}
__device__ [[gnu::noipa]] void put(float* at, float value) {
  *at = value;
}
__global__ void both_memories_kernel(const float* from, float* to) {
  wait_for_previous();
  const std::int64_t i = global_thread();
  float* staged = shared<float>(kWarpSize);
  put(staged + i, value_at(from + i));
  put(to + i, value_at(staged + i));
}

// One instruction that goes to either memory makes requests of each.
TEST_F(CountersTest, APlaceInTheCodeMayAccessBothMemories) {
  Memory<float> from, to;
  const KernelCounters counters =
      counted(both_memories_kernel, {1}, {32}, 32 * sizeof(float), from.data(), to.data());
  EXPECT_EQ(text(counters.loads), "1 requests, 32 lanes, 4 sectors, 128 bytes");
  EXPECT_EQ(text(counters.stores), "1 requests, 32 lanes, 4 sectors, 128 bytes");
  EXPECT_EQ(text(counters.shared), "2 requests, 64 lanes, 0 conflicts");
}

template <int N, class T>
__global__ void copy_vectors_kernel(const T* from, T* to) {
  wait_for_previous();
  store<N>(to + N * global_thread(), load<N>(from + N * global_thread()));
}

// 16 bytes a lane are 512 bytes a request, 16 sectors. 8 halves are one access; 8 floats are two, each of
// which touches one half of every sector of its 1,024 bytes.
TEST_F(CountersTest, VectorsAreOneAccess) {
  Memory<float> from, to;
  Memory<half_t> halves, copies;
  EXPECT_EQ(text(counted(copy_vectors_kernel<4, float>, {1}, {64}, 0, from.data(), to.data()).loads),
            "2 requests, 64 lanes, 32 sectors, 1024 bytes");
  EXPECT_EQ(text(counted(copy_vectors_kernel<8, half_t>, {1}, {64}, 0, halves.data(), copies.data()).stores),
            "2 requests, 64 lanes, 32 sectors, 1024 bytes");
  EXPECT_EQ(text(counted(copy_vectors_kernel<8, float>, {1}, {32}, 0, from.data(), to.data()).loads),
            "2 requests, 64 lanes, 64 sectors, 1024 bytes");
  EXPECT_EQ(text(counted(copy_vectors_kernel<1, half_t>, {1}, {32}, 0, halves.data(), copies.data()).loads),
            "1 requests, 32 lanes, 2 sectors, 64 bytes");
}

__global__ void broadcast_kernel(const float* from, float* to) {
  wait_for_previous();
  to[thread_id().x] = from[thread_id().x / 16];
}

// Lanes that read the same float need it once: 2 floats of 1 sector.
TEST_F(CountersTest, ABroadcastIsOneSector) {
  Memory<float> from, to;
  EXPECT_EQ(text(counted(broadcast_kernel, {1}, {32}, 0, from.data(), to.data()).loads),
            "1 requests, 32 lanes, 1 sectors, 8 bytes");
}

__global__ void transpose_kernel(const float* from, float* to, std::uint32_t pitch) {
  wait_for_previous();
  float* tile = shared<float>(kWarpSize * pitch);
  const std::uint32_t x = thread_id().x, y = thread_id().y;
  tile[y * pitch + x] = from[y * kWarpSize + x];
  sync_block();
  to[y * kWarpSize + x] = tile[x * pitch + y];
}

// Each of 32 warps writes a row of the tile, without conflicts, and reads a column. With a pitch of 32 floats
// the 32 words of a column are in one bank, which serves one in a pass: 31 more passes, the planted conflict.
// A pitch of 33 puts them into 32 banks.
TEST_F(CountersTest, TransposeWithAndWithoutPadding) {
  Memory<float> from, to;
  const KernelCounters plain = counted(transpose_kernel, {1}, {32, 32}, 4096, from.data(), to.data(), 32);
  EXPECT_EQ(text(plain.shared), "64 requests, 2048 lanes, 992 conflicts");
  EXPECT_EQ(text(plain.loads), "32 requests, 1024 lanes, 128 sectors, 4096 bytes");
  EXPECT_EQ(text(plain.stores), "32 requests, 1024 lanes, 128 sectors, 4096 bytes");
  EXPECT_EQ(plain.barriers, 1);
  EXPECT_EQ(plain.shared_bytes, 4096u);
  const KernelCounters padded = counted(transpose_kernel, {1}, {32, 32}, 4224, from.data(), to.data(), 33);
  EXPECT_EQ(text(padded.shared), "64 requests, 2048 lanes, 0 conflicts");
}

template <class T>
__global__ void shared_vectors_kernel(std::uint32_t stride) {
  wait_for_previous();
  T* values = shared<T>(kWarpSize * stride);
  values[thread_id().x * stride] = T{};
}

// 8 bytes a lane are served in halves of a warp, 16 bytes in quarters. Next to each other, their words fill
// all banks. With a stride of 2, those of a part meet in half of the banks: 1 pass more for each part.
TEST_F(CountersTest, WideSharedAccessesAreServedInParts) {
  EXPECT_EQ(text(counted(shared_vectors_kernel<double>, {1}, {32}, 512, 1).shared),
            "1 requests, 32 lanes, 0 conflicts");
  EXPECT_EQ(text(counted(shared_vectors_kernel<double>, {1}, {32}, 512, 2).shared),
            "1 requests, 32 lanes, 2 conflicts");
  EXPECT_EQ(text(counted(shared_vectors_kernel<Pack16<float>>, {1}, {32}, 512, 1).shared),
            "1 requests, 32 lanes, 0 conflicts");
  EXPECT_EQ(text(counted(shared_vectors_kernel<Pack16<float>>, {1}, {32}, 1024, 2).shared),
            "1 requests, 32 lanes, 4 conflicts");
  // Two halves lie in one word, which is served at once.
  EXPECT_EQ(text(counted(shared_vectors_kernel<std::uint16_t>, {1}, {32}, 64, 1).shared),
            "1 requests, 32 lanes, 0 conflicts");
}

__global__ void sum_kernel(const float* from, float* to) {
  wait_for_previous();
  float* sums = shared<float>(block_dim().x);
  const std::uint32_t i = thread_id().x;
  sums[i] = from[i];
  for (std::uint32_t half = block_dim().x / 2; half > 0; half /= 2) {
    sync_block();
    if (i < half) sums[i] += sums[i + half];
  }
  if (i == 0) *to = sums[0];
}

// 128 threads. The 4 warps write 128 floats. Of each sum there are two reads and a write by 64, 32, 16, 8, 4,
// 2 and 1 lanes, in 2, 1, 1, 1, 1, 1 and 1 warps: 3 * 8 requests and 3 * 127 lanes. In the end 1 lane reads.
TEST_F(CountersTest, ReductionWithBarriers) {
  Memory<float> from, to;
  const KernelCounters counters = counted(sum_kernel, {3}, {128}, 512, from.data(), to.data());
  EXPECT_EQ(counters.barriers, 3 * 7);
  EXPECT_EQ(text(counters.shared),
            fmt::format("{} requests, {} lanes, 0 conflicts", 3 * (4 + 24 + 1), 3 * (128 + 381 + 1)));
  EXPECT_EQ(text(counters.stores), "3 requests, 3 lanes, 3 sectors, 12 bytes");
  EXPECT_EQ(counters.warp_waits, 0);
}

__global__ void divergent_kernel(const float* even, const std::int64_t* odd, float* to) {
  wait_for_previous();
  const std::uint32_t i = thread_id().x;
  to[i] = i % 2 == 0 ? even[i] : static_cast<float>(odd[i]);
}

// The planted divergent branch: each warp makes two loads of 16 lanes. 16 of 32 floats touch all 4 sectors,
// 16 of 32 values of 8 bytes all 8.
TEST_F(CountersTest, DivergentBranch) {
  Memory<float> even, to;
  Memory<std::int64_t> odd;
  const KernelCounters counters = counted(divergent_kernel, {1}, {64}, 0, even.data(), odd.data(), to.data());
  EXPECT_EQ(text(counters.loads), "4 requests, 64 lanes, 24 sectors, 384 bytes");
  EXPECT_EQ(text(counters.stores), "2 requests, 64 lanes, 8 sectors, 256 bytes");
}

__global__ void skipped_kernel(const float* from, float* to) {
  wait_for_previous();
  float sum = 0;
  for (std::uint32_t round = 0; round < 2; ++round) {
    if (round == 1 || thread_id().x >= 16) sum += from[round * kWarpSize + thread_id().x];
    sync_warp();
  }
  to[thread_id().x] = sum;
}

// Lanes that skip the load of the first round make that of the second with the others, behind the barrier.
TEST_F(CountersTest, ARequestLiesBetweenBarriers) {
  Memory<float> from, to;
  const KernelCounters counters = counted(skipped_kernel, {1}, {32}, 0, from.data(), to.data());
  EXPECT_EQ(text(counters.loads), "2 requests, 48 lanes, 6 sectors, 192 bytes");
  EXPECT_EQ(counters.warp_waits, 2);
}

__global__ void atomics_kernel(std::uint32_t* count, std::uint64_t* bits) {
  wait_for_previous();
  atomic_add(count, 1u);
  if (thread_id().x < 5) atomic_or(bits, std::uint64_t{1} << thread_id().x);
}

TEST_F(CountersTest, Atomics) {
  std::uint32_t count = 0;
  std::uint64_t bits = 0;
  const KernelCounters counters = counted(atomics_kernel, {3}, {64}, 0, &count, &bits);
  EXPECT_EQ(counters.atomics, 3 * (64 + 5));
  EXPECT_EQ(text(counters.loads), kNothing);
  EXPECT_EQ(text(counters.stores), kNothing);
  EXPECT_EQ(count, 3u * 3 * 64) << "of three orders";
  EXPECT_EQ(bits, 31u);
}

__global__ void tensor_core_kernel(const half_t* from, float* to, std::uint32_t pitch) {
  wait_for_previous();
  half_t* rows = shared<half_t>(16 * pitch);
  const std::uint32_t lane = thread_id().x % kWarpSize, row = lane % 16, column = lane / 16 * 8;
  if (thread_id().x < kWarpSize) copy_async16(rows + row * pitch + column, from + lane * 8);
  copy_async_commit();
  copy_async_wait<0>();
  sync_block();
  const MatrixA<half_t> a = load_matrix_a(rows + row * pitch + column);
  Accumulator c;
  for (int i = 0; i < 3; ++i) {
    const MatrixBPair<half_t> b = load_matrix_b_transposed(rows + row * pitch + column);
    mma(c, a, b.left);
    mma(c, a, b.right);
  }
  to[thread_id().x] = c.v[0];
}

// Two warps, of which the first copies 512 bytes: 16 sectors, and a store of 16 bytes a lane. Each warp loads
// a matrix and then 3 more, in four passes of 8 lanes and rows, and multiplies 6 times. With a pitch of 24
// halves the words of 8 rows are in 32 banks. With one of 16, those of rows 0 to 3 lie above those of rows 4
// to 7: one pass more for each part, 4 for a request. With one of 64, the 8 rows are in the same 4 banks: 7
// more, 28.
TEST_F(CountersTest, TensorCoresAndAsynchronousCopies) {
  Memory<half_t> from;
  Memory<float> to;
  const auto at_pitch = [&](std::uint32_t pitch) {
    return counted(tensor_core_kernel, {1}, {64}, 16 * pitch * 2, from.data(), to.data(), pitch);
  };
  const KernelCounters counters = at_pitch(24);
  EXPECT_EQ(text(counters.loads), "1 requests, 32 lanes, 16 sectors, 512 bytes");
  EXPECT_EQ(text(counters.stores), "2 requests, 64 lanes, 8 sectors, 256 bytes");
  EXPECT_EQ(text(counters.shared), "9 requests, 288 lanes, 0 conflicts");
  EXPECT_EQ(counters.mma, 2 * 6);
  EXPECT_EQ(counters.barriers, 1);
  EXPECT_EQ(counters.warp_waits, 0) << "the lanes of a warp do these together, and wait for nothing else";
  EXPECT_EQ(text(at_pitch(16).shared), "9 requests, 288 lanes, 36 conflicts");
  EXPECT_EQ(text(at_pitch(64).shared), "9 requests, 288 lanes, 252 conflicts");
}

struct Table {
  float values[16];
};

__global__ void own_variables_kernel(Table table, float* to) {
  wait_for_previous();
  float mine[16];
  for (int i = 0; i < 16; ++i) mine[i] = table.values[(i + thread_id().x) % 16];
  for (int i = 0; i < 16; ++i) mine[i] += mine[static_cast<int>(mine[i]) % 16];
  to[thread_id().x] = block_sum(mine[thread_id().x % 16]) + warp_max(mine[3]);
}

// Parameters, variables, thread indices and what collectives exchange are not in memory. A sum of the block
// has two barriers on a GPU.
TEST_F(CountersTest, OnlyMemoryCounts) {
  Memory<float> to;
  const KernelCounters counters = counted(own_variables_kernel, {1}, {64}, 0, Table{}, to.data());
  EXPECT_EQ(text(counters.loads), kNothing);
  EXPECT_EQ(text(counters.shared), kNothingShared);
  EXPECT_EQ(text(counters.stores), "2 requests, 64 lanes, 8 sectors, 256 bytes");
  EXPECT_EQ(counters.barriers, 2);
  EXPECT_EQ(counters.warp_waits, 2);
}

TEST_F(CountersTest, LaunchesOfAKernelAreOneRow) {
  Memory<float> from, to;
  const auto device = make_host_device(DeviceKind::kSimt, Ops{}, {.count_accesses = true});
  const auto stream = device->make_stream();
  for (const std::uint32_t blocks : {1u, 3u})
    launch(*stream, "copy", copy_kernel, {blocks}, {32}, 0, from.data(), to.data(), 1);
  launch(*stream, "copy", copy_vectors_kernel<4, float>, {1}, {32}, 0, from.data(), to.data());
  const KernelCounts& counts = *device->kernel_counts();
  ASSERT_EQ(counts.size(), 2u);
  EXPECT_EQ(text(counts[0].loads), "4 requests, 128 lanes, 16 sectors, 512 bytes");
  EXPECT_EQ(counts[0].launches, 2);
  EXPECT_EQ(counts[0].name, "copy");
  EXPECT_EQ(counts[0].file, "tests/simt_counted/counters_test.cpp");
  EXPECT_NE(counts[0].symbol.find("11copy_kernel"), std::string::npos) << counts[0].symbol;
  EXPECT_NE(counts[1].symbol.find("19copy_vectors_kernelILi4EfE"), std::string::npos) << counts[1].symbol;
}

TEST_F(CountersTest, ADeviceCountsOnlyIfAsked) {
  Memory<float> from, to;
  from.values[5] = 7;
  const auto device = make_host_device(DeviceKind::kSimt, Ops{});
  launch(*device->make_stream(), "copy", copy_kernel, {1}, {32}, 0, from.data(), to.data(), 1);
  EXPECT_EQ(device->kernel_counts(), nullptr);
  EXPECT_EQ(to.values[5], 7);
}

__global__ void endless_kernel(float* to, std::uint32_t stores) {
  wait_for_previous();
  for (std::uint32_t i = 0; i < stores; ++i) to[i % 8] = 1;
}

TEST_F(CountersTest, KeepsABoundedNumberOfRequests) {
  Memory<float> to;
  EXPECT_EQ(text(counted(endless_kernel, {1}, {32}, 0, to.data(), 100).stores),
            "100 requests, 3200 lanes, 100 sectors, 400 bytes");
  try {
    counted(endless_kernel, {1}, {32}, 0, to.data(), 2'000'000);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("kernel counted: a block makes more than 1048576 requests"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace tdds::TDDS_GPU
