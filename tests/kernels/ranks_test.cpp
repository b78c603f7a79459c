// The exchange of texts and flags among ranks, and the collectives of host devices.

#include "kernels/ranks/ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "kernels/numerics/half_convert.h"
#include "kernels/ranks/collectives.h"
#include "kernels/runtime/check.h"
#include "tests/engine/thread_ranks.h"

namespace tdds {
namespace {

using namespace test;

TEST(RanksTest, GatherTextsOfAnyLength) {
  on_ranks(3, [](Ranks& ranks) {
    const std::string mine =
        ranks.rank() == 1 ? "" : std::string(static_cast<std::size_t>(ranks.rank()) + 2, 'a');
    EXPECT_THAT(ranks.gather(mine), testing::ElementsAre("aa", "", "aaaa"));
    EXPECT_EQ(ranks.broadcast(ranks.first() ? std::string("of rank 0\0.", 11) : "other"),
              std::string("of rank 0\0.", 11));
    EXPECT_EQ(ranks.broadcast(ranks.first() ? "" : "other"), "");
  });
}

TEST(RanksTest, AgreeOnAFlag) {
  on_ranks(3, [](Ranks& ranks) {
    EXPECT_FALSE(ranks.any(false));
    for (int rank = 0; rank < 3; ++rank) EXPECT_TRUE(ranks.any(ranks.rank() == rank)) << rank;
  });
}

std::string complaint_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(RanksTest, NameTheFirstDifference) {
  const auto complaint = [](const std::string& other) {
    return complaint_of([&] {
      on_ranks(3,
               [&](Ranks& ranks) { ranks.check_equal(ranks.rank() == 2 ? other : "seed: 1\nwidth: 2\n"); });
    });
  };
  EXPECT_EQ(complaint("seed: 1\nwidth: 2\n"), "");
  EXPECT_THAT(complaint("seed: 1\nwidth: 3\n"),
              testing::StartsWith("rank 0 has 'width: 2' and rank 2 has 'width: 3'"));
  EXPECT_THAT(complaint("seed: 1\n"), testing::StartsWith("rank 0 has 'width: 2' and rank 2 has 'nothing'"));
  EXPECT_THAT(complaint("seed: 1\nwidth: 2\nmore\n"), testing::StartsWith("rank 0 has 'nothing' and rank 2"));
}

TEST(RanksTest, ShareTheCoresOfAMachine) {
  cpu_set_t cores;
  ASSERT_EQ(sched_getaffinity(0, sizeof(cores), &cores), 0);
  const int all = CPU_COUNT(&cores);
  for (const int size : {1, 2, all, all + 1})
    on_ranks(size, [&](Ranks& ranks) { EXPECT_EQ(ranks.share_of_cores(), std::max(1, all / size)) << size; });
}

// Threads of the test have one environment, so it is changed before and after.
class LaunchedTest : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE",
                             "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"})
      unsetenv(name);
  }
};

TEST_F(LaunchedTest, ReadsWhatEachLauncherSays) {
  EXPECT_FALSE(launched_rank());
  const std::tuple<const char*, const char*, const char*> launchers[] = {
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpirun"},
      {"PMI_RANK", "PMI_SIZE", "mpirun"},
      {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "srun"}};
  for (const auto& [rank, size, launcher] : launchers) {
    setenv(rank, "2", 1);
    EXPECT_FALSE(launched_rank()) << "half of it";
    setenv(size, "4", 1);
    const std::optional<Launched> launched = launched_rank();
    ASSERT_TRUE(launched) << rank;
    EXPECT_EQ(launched->rank, 2);
    EXPECT_EQ(launched->size, 4);
    EXPECT_EQ(launched->launcher, launcher);
    setenv(rank, "0", 1);
    setenv(size, "1", 1);
    EXPECT_FALSE(launched_rank()) << "one process is no rank";
    TearDown();
  }
}

// A value of which neither sums nor their order are exact.
float value_of(int rank, std::int64_t i) {
  return std::sin(static_cast<float>(i) * 0.37f + static_cast<float>(rank)) *
         std::exp2f(static_cast<float>(rank));
}

template <class T>
void expect_sums_in_rank_order(DType dtype, DeviceKind kind, StreamMode mode, int ranks, std::int64_t n) {
  const std::unique_ptr<Device> unused = make_device(kind);  // before the threads: it reads the environment
  on_ranks(ranks, [&](Ranks& own) {
    const std::unique_ptr<Device> device = make_device(kind);
    const std::unique_ptr<Stream> stream = device->make_stream(mode);
    const std::unique_ptr<Collectives> collectives = make_collectives(*device, own);
    std::vector<T> values(static_cast<std::size_t>(n)), sums(values.size()), expected(values.size());
    for (std::int64_t i = 0; i < n; ++i) {
      values[i] = from_float<T>(value_of(own.rank(), i));
      float sum = to_float(from_float<T>(value_of(0, i)));
      for (int rank = 1; rank < ranks; ++rank) sum += to_float(from_float<T>(value_of(rank, i)));
      expected[i] = from_float<T>(sum);
    }
    const DeviceMemory data(*device, values.size() * sizeof(T), "values");
    const auto body = [&] { collectives->sum(*stream, data.data(), n, dtype); };
    const auto recording = stream->record(body);
    EXPECT_EQ(recording->commands(), 1u);
    for (int replayed = 0; replayed < 2; ++replayed) {
      stream->upload(data.data(), values.data(), values.size() * sizeof(T));
      replayed ? stream->replay(*recording) : body();
      stream->download(sums.data(), data.data(), values.size() * sizeof(T));
      stream->synchronize();
      EXPECT_EQ(std::memcmp(sums.data(), expected.data(), values.size() * sizeof(T)), 0)
          << "rank " << own.rank() << " of " << ranks << ", " << n << " values";
    }
  });
}

// Fewer values than ranks, one block of the exchange, and several with a rest.
TEST(HostCollectivesTest, AddUpInTheOrderOfTheRanks) {
  for (const int ranks : {2, 3, 4})
    for (const std::int64_t n : {1, 3, 1000, 300001}) {
      expect_sums_in_rank_order<float>(DType::kF32, DeviceKind::kCpu, StreamMode::kImmediate, ranks, n);
      expect_sums_in_rank_order<bf16_t>(DType::kBf16, DeviceKind::kSimt, StreamMode::kDeferred, ranks, n);
      expect_sums_in_rank_order<half_t>(DType::kF16, DeviceKind::kSimt, StreamMode::kDeferred, ranks, n);
    }
}

TEST(HostCollectivesTest, GatherSlotsAndBroadcast) {
  on_ranks(3, [](Ranks& own) {
    const std::unique_ptr<Device> device = make_device(DeviceKind::kCpu);
    const std::unique_ptr<Stream> stream = device->make_stream(StreamMode::kDeferred);
    const std::unique_ptr<Collectives> collectives = make_collectives(*device, own);
    const DeviceMemory slots(*device, 3 * 5, "slots");
    const std::string mine(5, static_cast<char>('a' + own.rank()));
    stream->copy(slots.get<char>() + 5 * own.rank(), mine.data(), 5);
    collectives->all_gather(*stream, slots.data(), 5);
    std::string all(15, ' '), first(5, ' ');
    stream->download(all.data(), slots.data(), 15);
    collectives->broadcast(*stream, slots.get<char>() + 5 * own.rank(), 5);
    stream->download(first.data(), slots.get<char>() + 5 * own.rank(), 5);
    stream->synchronize();
    EXPECT_EQ(all, "aaaaabbbbbccccc");
    EXPECT_EQ(first, "aaaaa");
  });
}

TEST(HostCollectivesTest, RefuseTypesWithoutASum) {
  EXPECT_THAT(complaint_of([] {
                on_ranks(2, [](Ranks& own) {
                  const std::unique_ptr<Device> device = make_device(DeviceKind::kCpu);
                  const std::unique_ptr<Stream> stream = device->make_stream();
                  const DeviceMemory data(*device, 8, "bytes");
                  make_collectives(*device, own)->sum(*stream, data.data(), 8, DType::kU8);
                });
              }),
              testing::HasSubstr("no sum of this type"));
}

}  // namespace
}  // namespace tdds
