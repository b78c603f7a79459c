// The parts that the batch normalisation kernels are made of: tickets, merges, indices beyond 32 bits.

#include <gtest/gtest.h>

#include <numeric>

#include "kernels/gpu/batchnorm_tile.h"
#include "kernels/gpu/gpu.h"
#include "kernels/simt/schedule.h"
#include "tests/kernels/op_test.h"
#include "tests/kernels/simt_rig.h"

namespace tdds::simt {
namespace {

using Order = Schedule::Order;
using namespace test;

const Schedule kSchedules[] = {{Order::kForward}, {Order::kReversed}, {Order::kShuffled, 3}};

// Each block writes its values; the last of every `group` blocks sums those of its group in ascending order.
__global__ void group_sums_kernel(float* values, float* sums, std::uint32_t* tickets, std::uint32_t group) {
  const std::uint32_t first = block_id().x / group * group;
  const std::uint32_t count = grid_dim().x - first < group ? grid_dim().x - first : group;
  values[global_thread()] = 1.0f / static_cast<float>(1 + global_thread());
  if (!last_of_group(tickets + first / group, count)) return;
  float sum = 0;
  for (std::uint32_t block = first; block < first + count; ++block)
    sum += values[block * block_dim().x + thread_id().x];
  sums[first / group * block_dim().x + thread_id().x] = sum;
}

struct GroupSums {
  std::vector<float> values = std::vector<float>(10 * 64, NAN), sums = std::vector<float>(3 * 64, NAN);
  std::vector<std::uint32_t> tickets = {0, 0, 0};

  void run(Schedule schedule) {
    const ScheduleScope scope(schedule);
    const auto device = make_device(DeviceKind::kSimt);
    const auto stream = device->make_stream();
    launch(*stream, "group_sums", group_sums_kernel, {10}, {64}, 0, values.data(), sums.data(),
           tickets.data(), 4);
  }
};

TEST(SimtBatchNormTest, TheLastBlockOfAGroupReadsAllOfIt) {
  GroupSums first;
  first.run(kSchedules[0]);
  for (const float sum : first.sums) EXPECT_TRUE(std::isfinite(sum));
  EXPECT_EQ(first.tickets, (std::vector<std::uint32_t>{4, 4, 2}));
  for (const Schedule schedule : kSchedules) {
    GroupSums other;
    other.run(schedule);
    EXPECT_EQ(other.sums, first.sums);
  }
}

TEST(SimtBatchNormTest, ATicketThatWasNotSetToZeroShows) {
  GroupSums sums;
  sums.run(kSchedules[0]);
  std::fill(sums.sums.begin(), sums.sums.end(), NAN);
  sums.run(kSchedules[0]);
  for (const float sum : sums.sums) EXPECT_TRUE(std::isnan(sum)) << "no block is the last";
}

// The same of the op: the second call uses the statistics of the first.
TEST(SimtBatchNormTest, BatchNormWithUsedTicketsIsWrong) {
  const auto means_of = [](bool zeroed) {
    Rig rig(DeviceKind::kSimt, kNaNFill);
    auto *a = rig.in(random_values(640, 1, 1)), *b = rig.in(random_values(640, 2, 5));
    auto *ones = rig.in(std::vector<float>(8, 1)), *running = rig.in(std::vector<float>(16, 0));
    auto* mean = rig.out("mean", 8);
    auto* y = rig.scratch(640 * sizeof(float));
    auto* inv_std = rig.in(std::vector<float>(8, 0));
    auto* tracked = rig.in<std::int64_t>({0});
    void* workspace = rig.scratch(batchnorm_workspace_bytes(80, 8));
    const std::size_t count = batchnorm_tickets(8);
    auto* tickets = rig.in(std::vector<std::uint32_t>(count, 0));
    for (const float* x : {a, b}) {
      if (zeroed) rig.stream().zero(tickets, count * sizeof(*tickets));
      batchnorm_forward(rig.stream(),
                        {x, nullptr, ones, ones, running, running + 8, tracked, mean, inv_std, y, 80, 8,
                         1e-5f, 0.1f, DType::kF32, false, workspace, nullptr, tickets});
    }
    return rig.results()[0].value(0);
  };
  const double right = means_of(true);
  EXPECT_NEAR(right, 5, 0.5);
  EXPECT_GT(std::abs(means_of(false) - right), 0.1);
}

__global__ void merge_kernel(const float* means, std::int32_t items, float* out) {
  const ChannelPart at = channel_part<4>(30);
  const Moments moments = merge_moments(at, items, static_cast<float>(3 * items), [&](std::int32_t item) {
    return Moments{3, means[item * 30 + at.channel], 0.5f};
  });
  if (!at.writes()) return;
  out[at.channel] = moments.mean;
  out[30 + at.channel] = moments.squares;
}

TEST(SimtBatchNormTest, MergesAreThoseOfTheDefinitionInEveryOrder) {
  for (const std::int32_t items : {1, 3, 4, 24}) {
    const std::vector<float> means = random_values(std::size_t{30} * items, 7, 100);
    std::vector<float> first;
    for (const Schedule schedule : kSchedules) {
      const ScheduleScope scope(schedule);
      const auto device = make_device(DeviceKind::kSimt);
      const auto stream = device->make_stream();
      std::vector<float> out(60, NAN);
      launch(*stream, "merge", merge_kernel, {1}, {8, 32}, kMergeBytes, means.data(), items, out.data());
      if (first.empty()) first = out;
      EXPECT_EQ(out, first);
      for (std::size_t c = 0; c < 30; ++c) {
        double mean = 0, squares = 0.5 * items;
        for (std::int32_t i = 0; i < items; ++i) mean += means[i * 30 + c] / double{1.0 * items};
        for (std::int32_t i = 0; i < items; ++i) squares += 3 * std::pow(means[i * 30 + c] - mean, 2);
        EXPECT_NEAR(out[c], mean, 4e-5);
        EXPECT_NEAR(out[30 + c], squares, 1e-5 * squares + 1e-4);
      }
    }
  }
}

__global__ void span_kernel(TileSpan* spans, TileGrid tiles, std::int64_t rows, std::int32_t channels) {
  spans[rank_in_block()] = tile_span<8>(tiles.grid.x - 1, tiles.rows, rows, channels);
}

// 2^33 elements: the last tile, of the statistics and of the application.
TEST(SimtBatchNormTest, IndicesExceed32Bits) {
  constexpr std::int64_t kRows = (std::int64_t{1} << 27) - 5;
  constexpr std::int32_t kChannels = 64;
  for (const TileGrid& tiles : {tile_grid(kRows, kChannels, 8, kMinTileRows, kMaxTileBlocks),
                                tile_grid(kRows, kChannels, 8, kApplyRows, kAnyBlocks)}) {
    check_geometry("batchnorm", tiles.grid, tiles.block, 0);
    const auto device = make_device(DeviceKind::kSimt);
    const auto stream = device->make_stream();
    std::vector<TileSpan> spans(kTileThreads);
    launch(*stream, "span", span_kernel, {1}, tiles.block, 0, spans.data(), tiles, kRows, kChannels);
    const std::int64_t begin = (tiles.grid.x - 1) * tiles.rows;
    EXPECT_LT(begin, kRows);
    EXPECT_GE(begin + tiles.rows, kRows);
    for (std::uint32_t rank = 0; rank < kTileThreads; ++rank) {
      const std::int64_t y = rank / tiles.block.x, x = rank % tiles.block.x;
      EXPECT_EQ(spans[rank].first, (begin + y) * kChannels + x * 8);
      EXPECT_EQ(spans[rank].last, kRows * kChannels);
      EXPECT_EQ(spans[rank].step, 32 * kChannels);
      EXPECT_TRUE(spans[rank].inside);
    }
  }
  EXPECT_LE(batchnorm_mask_bytes(kRows, kChannels, DType::kF16), std::size_t{1} << 30);
}

}  // namespace
}  // namespace tdds::simt
