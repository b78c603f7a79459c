// The simt executor: correct kernels run as on a GPU, and every seeded mistake is detected.

#include <bit>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/numerics/half_convert.h"
#include "tests/kernels/simt_launch.h"

namespace tdds::simt {
namespace {

using Order = Schedule::Order;
using SimtTest = SimtLaunchTest;

__global__ void ids_kernel(std::uint32_t* out) {
  const Dim3 t = thread_id(), b = block_id(), size = block_dim(), grid = grid_dim();
  const std::uint32_t block = b.x + grid.x * (b.y + grid.y * b.z);
  out[block * threads_in_block() + t.x + size.x * (t.y + size.y * t.z)] = rank_in_block() + 1000 * block;
}

TEST_F(SimtTest, EveryThreadOfEveryBlockRunsOnce) {
  constexpr std::uint32_t kThreads = 4 * 4 * 2, kBlocks = 3 * 2 * 2;
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    std::vector<std::uint32_t> out(kThreads * kBlocks, 7);
    EXPECT_EQ(error_of(ids_kernel, {3, 2, 2}, {4, 4, 2}, 0, out.data()), "");
    for (std::uint32_t i = 0; i < out.size(); ++i)
      EXPECT_EQ(out[i], i % kThreads + 1000 * (i / kThreads)) << i;
  }
}

__global__ void collectives_kernel(const float* in, float* sums, float* maxima, std::int32_t* places,
                                   int* any) {
  const std::uint32_t i = thread_id().x;
  sums[i] = warp_sum(in[i]);
  maxima[i] = warp_max(in[i]);
  places[i] = warp_argmax({in[i], static_cast<std::int32_t>(i)}).index;
  any[i] = warp_any(in[i] == 40);
  sums[i] += 1000 * block_sum(in[i]);
}

TEST_F(SimtTest, CollectivesCombineTheirGroup) {
  std::vector<float> in(64), sums(64), maxima(64);
  std::vector<std::int32_t> places(64);
  std::vector<int> any(64);
  std::iota(in.begin(), in.end(), 1.0f);
  in[5] = in[9] = 32;  // three of the largest in the first warp
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    EXPECT_EQ(error_of(collectives_kernel, {1}, {64}, 0, in.data(), sums.data(), maxima.data(), places.data(),
                       any.data()),
              "");
    const float first = std::accumulate(in.begin(), in.begin() + 32, 0.0f);
    const float second = std::accumulate(in.begin() + 32, in.end(), 0.0f);
    for (int i = 0; i < 64; ++i) {
      EXPECT_EQ(sums[i], (i < 32 ? first : second) + 1000 * (first + second));
      EXPECT_EQ(maxima[i], i < 32 ? 32 : 64);
      EXPECT_EQ(places[i], i < 32 ? 5 : 63);
      EXPECT_EQ(any[i], i < 32 ? 0 : 1);
    }
  }
}

__global__ void sum_bits_kernel(const float* in, float* out) {
  *out = block_sum(in[thread_id().x]);
}

TEST_F(SimtTest, SumsHaveTheOrderOfTheShufflesOfAWarp) {
  std::vector<float> in(1024);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = 1.0f / static_cast<float>(i + 1);
  float out = 0;
  EXPECT_EQ(error_of(sum_bits_kernel, {1}, {1024}, 0, in.data(), &out), "");
  const auto butterfly = [](std::vector<float> lanes) {
    for (int mask = 16; mask > 0; mask /= 2) {
      const std::vector<float> before = lanes;
      for (int i = 0; i < 32; ++i) lanes[i] = before[i] + before[i ^ mask];
    }
    return lanes;
  };
  std::vector<float> warps;
  for (int w = 0; w < 32; ++w)
    warps.push_back(butterfly({in.begin() + 32 * w, in.begin() + 32 * w + 32}).front());
  EXPECT_EQ(out, butterfly(warps).front());
}

__global__ void reverse_kernel(float* data, bool wait) {
  float* staged = shared<float>(block_dim().x);
  const std::uint32_t i = thread_id().x;
  staged[i] = data[i];
  if (wait) sync_block();
  data[i] = staged[block_dim().x - 1 - i];
}

TEST_F(SimtTest, AMissingBarrierShowsReversed) {
  const auto wrong = [&](Schedule schedule, bool wait) {
    const ScheduleScope scope(schedule);
    std::vector<float> data(256);
    std::iota(data.begin(), data.end(), 0.0f);
    EXPECT_EQ(error_of(reverse_kernel, {1}, {256}, 256 * sizeof(float), data.data(), wait), "");
    int count = 0;
    for (int i = 0; i < 256; ++i) count += data[i] != static_cast<float>(255 - i);
    return count;
  };
  for (const Schedule schedule : kSchedules) EXPECT_EQ(wrong(schedule, true), 0);
  for (const Schedule schedule : kSchedules) EXPECT_GT(wrong(schedule, false), 100);
}

__global__ void neighbour_kernel(float* data, bool wait) {
  float* staged = shared<float>(block_dim().x);
  const std::uint32_t i = thread_id().x;
  staged[i] = data[i];
  if (wait) sync_block();
  data[i] = i == 0 ? staged[0] : staged[i - 1];
}

TEST_F(SimtTest, AMissingBarrierCanHideForward) {
  const auto wrong = [&](Schedule schedule, bool wait) {
    const ScheduleScope scope(schedule);
    std::vector<float> data(256);
    std::iota(data.begin(), data.end(), 0.0f);
    EXPECT_EQ(error_of(neighbour_kernel, {1}, {256}, 256 * sizeof(float), data.data(), wait), "");
    int count = 0;
    for (int i = 1; i < 256; ++i) count += data[i] != static_cast<float>(i - 1);
    return count;
  };
  EXPECT_EQ(wrong({Order::kForward}, false), 0);
  EXPECT_EQ(wrong({Order::kReversed}, false), 255);
  EXPECT_GT(wrong({Order::kShuffled, 3}, false), 50);
  EXPECT_EQ(wrong({Order::kReversed}, true), 0);
}

__global__ void uninitialised_kernel(float* out) {
  out[thread_id().x] = shared<float>(32)[thread_id().x];
}

TEST_F(SimtTest, SharedMemoryStartsAsNaN) {
  std::vector<float> out(32, 0);
  EXPECT_EQ(error_of(uninitialised_kernel, {2}, {32}, 128, out.data()), "");
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
}

__global__ void divergent_kernel(int lane) {
  if (static_cast<int>(thread_id().x) == lane)
    sync_block();
  else
    sync_block();
}

__global__ void mixed_groups_kernel() {
  if (thread_id().x < 16)
    sync_block();
  else
    warp_sum(1);
}

__global__ void exited_kernel(std::uint32_t lanes) {
  if (thread_id().x < lanes) return;
  sync_block();
}

__global__ void exited_warp_kernel() {
  if (thread_id().x % 32 == 7) return;
  warp_sum(1.0f);
}

TEST_F(SimtTest, DivergentCollectivesAreErrors) {
  for (const Schedule schedule : kSchedules) {
    const ScheduleScope scope(schedule);
    for (const int lane : {0, 31, 63}) {
      const std::string text = error_of(divergent_kernel, {2}, {64}, 0, lane);
      expect_text(text, "kernel seeded");
      expect_text(text, "other lanes of its block wait at");
      expect_text(text, "simt_test.cpp");
    }
    expect_text(error_of(mixed_groups_kernel, {1}, {32}, 0), "waits at");
    for (const std::uint32_t lanes : {1u, 32u, 63u})
      expect_text(error_of(exited_kernel, {1}, {64}, 0, lanes), "has left the kernel");
    expect_text(error_of(exited_warp_kernel, {1}, {64}, 0), "thread (7, 0, 0) has left the kernel");
    EXPECT_EQ(error_of(exited_kernel, {1}, {64}, 0, 0), "") << "the executor must work after errors";
    EXPECT_EQ(error_of(exited_kernel, {1}, {64}, 0, 64), "") << "all threads may leave together";
  }
}

template <class T>
__global__ void copy16_kernel(const T* from, T* to) {
  store16(to, load16(from));
}

TEST_F(SimtTest, MisalignedVectorsAreErrors) {
  alignas(16) float data[8] = {1, 2, 3, 4}, out[8] = {};
  EXPECT_EQ(error_of(copy16_kernel<float>, {1}, {32}, 0, data, out), "");
  EXPECT_EQ(out[3], 4);
  for (int offset = 1; offset < 4; ++offset) {
    const std::string load = error_of(copy16_kernel<float>, {1}, {32}, 0, data + offset, out);
    expect_text(load, "kernel seeded, thread (0, 0, 0)");
    expect_text(load, "not a multiple of 16");
    expect_text(error_of(copy16_kernel<float>, {1}, {32}, 0, data, out + offset), "not a multiple of 16");
  }
  alignas(16) half_t halves[16] = {}, copies[16];
  EXPECT_EQ(error_of(copy16_kernel<half_t>, {1}, {32}, 0, halves + 8, copies), "");
  expect_text(error_of(copy16_kernel<half_t>, {1}, {32}, 0, halves + 1, copies), "not a multiple of 16");
}

__global__ void shared_kernel(std::size_t count, std::size_t offset) {
  shared<double>(count, offset);
}

TEST_F(SimtTest, SharedMemoryPastTheLaunchIsAnError) {
  EXPECT_EQ(error_of(shared_kernel, {1}, {32}, 128, 14, 16), "");
  expect_text(error_of(shared_kernel, {1}, {32}, 128, 15, 16), "launched with 128");
  expect_text(error_of(shared_kernel, {1}, {32}, 128, 1, 4), "not aligned to 8");
}

__global__ void nothing_kernel() {}

TEST_F(SimtTest, RejectsInvalidLaunches) {
  const auto launched = [&](Dim3 grid, Dim3 block, std::size_t shared_bytes = 0) {
    return error_of(nothing_kernel, grid, block, shared_bytes);
  };
  EXPECT_EQ(launched({65536}, {32}), "");
  EXPECT_EQ(launched({1, 65535, 1}, {32}), "");
  EXPECT_EQ(launched({1}, {1024}, 48 * 1024), "");
  expect_text(launched({0}, {32}), "kernel seeded: the grid 0 x 1 x 1 is empty");
  expect_text(launched({1, 0, 1}, {32}), "is empty");
  expect_text(launched({1u << 31}, {32}), "exceeds");
  expect_text(launched({1, 65536, 1}, {32}), "exceeds");
  expect_text(launched({1, 1, 65536}, {32}), "exceeds");
  expect_text(launched({1}, {0}), "not within");
  expect_text(launched({1}, {1056}), "not within");
  expect_text(launched({1}, {64, 32, 1}), "not within");
  expect_text(launched({1}, {1, 1, 128}), "not within");
  expect_text(launched({1}, {48}), "whole warps");
  expect_text(launched({1}, {32}, 48 * 1024 + 1),
              "kernel seeded: 49153 bytes of shared memory exceed the 49152");
  EXPECT_THROW(blocks_for(-1, 32), Error);
  EXPECT_THROW(blocks_for(std::int64_t{1} << 40, 32), Error);
  EXPECT_EQ(blocks_for(0, 32), 0u);
  EXPECT_EQ(blocks_for(33, 32), 2u);
}

__global__ void base_kernel(std::uintptr_t* base, std::size_t bytes) {
  *base = reinterpret_cast<std::uintptr_t>(shared<std::byte>(bytes));
}

// Tiles rely on the alignment of the base, whatever the size.
TEST_F(SimtTest, SharedMemoryIsAlignedTo1024Bytes) {
  for (const std::size_t bytes : {16u, 17u, 4000u, 48u * 1024}) {
    std::uintptr_t base = 1;
    EXPECT_EQ(error_of(base_kernel, {1}, {32}, bytes, &base, bytes), "");
    EXPECT_EQ(base % 1024, 0u) << bytes;
  }
}

TEST_F(SimtTest, MoreThan48KBOfSharedMemoryMustBeAllowed) {
  std::uintptr_t base = 0;
  const auto launched = [&](std::size_t bytes) {
    return error_of(base_kernel, {1}, {32}, bytes, &base, bytes);
  };
  expect_text(launched(100 * 1024), "kernel seeded: 102400 bytes of shared memory exceed the 49152");
  EXPECT_TRUE(allow_shared_memory(device(), base_kernel, 100 * 1024));
  EXPECT_EQ(launched(100 * 1024), "");
  expect_text(launched(100 * 1024 + 1), "exceed the 102400");
  EXPECT_TRUE(allow_shared_memory(device(), base_kernel, 10)) << "a smaller request takes nothing away";
  EXPECT_EQ(launched(100 * 1024), "");
  EXPECT_TRUE(allow_shared_memory(device(), base_kernel, 227 * 1024));
  EXPECT_EQ(launched(227 * 1024), "");
  EXPECT_FALSE(allow_shared_memory(device(), base_kernel, 227 * 1024 + 1)) << "no GPU has so much";
  expect_text(error_of(shared_kernel, {1}, {32}, 100 * 1024, 1, 0), "exceed the 49152");
}

__global__ void store_kernel(std::size_t* out, std::size_t value, double factor) {
  if (thread_id().x == 0) *out = value * static_cast<std::size_t>(factor);
}

TEST_F(SimtTest, ArgumentsAreConvertedAndCopiedWhenEnqueued) {
  std::size_t out = 0;
  int value = 3;
  launch(stream(), "store", store_kernel, {1}, {32}, 0, &out, value, 2);
  value = 4;
  EXPECT_EQ(out, 0u) << "a deferred stream runs nothing yet";
  const auto recording =
      stream().record([&] { launch(stream(), "store", store_kernel, {1}, {32}, 0, &out, value, 10); });
  value = 5;
  stream().synchronize();
  EXPECT_EQ(out, 6u);
  stream().replay(*recording);
  stream().synchronize();
  EXPECT_EQ(out, 40u);
}

__global__ void count_kernel(std::int32_t* count, std::uint64_t* bits) {
  atomic_add(count, 2);
  atomic_or(bits, std::uint64_t{1} << thread_id().x);
}

TEST_F(SimtTest, IntegerAtomics) {
  std::int32_t count = 0;
  std::uint64_t bits = 0;
  EXPECT_EQ(error_of(count_kernel, {3}, {64}, 0, &count, &bits), "");
  EXPECT_EQ(count, 3 * 64 * 2);
  EXPECT_EQ(bits, ~std::uint64_t{0});
}

TEST(HalfTest, ConvertsAsTheHardwareDoes) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const half_t half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    EXPECT_EQ(std::isnan(value), (bits & 0x7FFF) > 0x7C00);
    if (std::isnan(value)) continue;
    EXPECT_EQ(value, static_cast<float>(std::bit_cast<_Float16>(half.bits)));
    EXPECT_EQ(from_float<half_t>(value).bits, bits);
    // Around the midpoint to the next: the compiler's _Float16 rounds to nearest even.
    const float next = to_float(half_t{static_cast<std::uint16_t>(bits + 1)});
    if (!std::isfinite(value) || !std::isfinite(next)) continue;
    const float middle = value + (next - value) / 2;
    for (const float x : {std::nextafter(middle, value), middle, std::nextafter(middle, next)})
      EXPECT_EQ(from_float<half_t>(x).bits, std::bit_cast<std::uint16_t>(static_cast<_Float16>(x))) << x;
  }
  EXPECT_EQ(from_float<half_t>(65519.9f).bits, 0x7BFF);
  EXPECT_EQ(from_float<half_t>(65520.0f).bits, 0x7C00);
  EXPECT_EQ(from_float<half_t>(-1e30f).bits, 0xFC00);
  EXPECT_EQ(from_float<half_t>(1e-30f).bits, 0);
  EXPECT_TRUE(std::isnan(to_float(from_float<half_t>(NAN))));
}

TEST(HalfTest, BfloatRoundsToNearestEven) {
  EXPECT_EQ(from_float<bf16_t>(1.0f).bits, 0x3F80);
  EXPECT_EQ(from_float<bf16_t>(1.0f + 0x1p-8f).bits, 0x3F80);
  EXPECT_EQ(from_float<bf16_t>(1.0f + 3 * 0x1p-8f).bits, 0x3F82);
  EXPECT_EQ(from_float<bf16_t>(std::nextafter(1.0f + 0x1p-8f, 2.0f)).bits, 0x3F81);
  EXPECT_EQ(from_float<bf16_t>(-INFINITY).bits, 0xFF80);
  EXPECT_EQ(to_float(from_float<bf16_t>(3e38f)), 0x1.C4p127f);
  EXPECT_TRUE(std::isnan(to_float(from_float<bf16_t>(NAN))));
}

}  // namespace
}  // namespace tdds::simt
