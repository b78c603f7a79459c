// Branches of a stream: what a fork and a join order, when a host stream runs a branch, and which calls are
// refused.

#include <gmock/gmock.h>

#include "kernels/ops/elementwise.h"
#include "kernels/runtime/host_stream.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

constexpr Branches kHostBranches[] = {Branches::kInPlace, Branches::kBeside, Branches::kAtFork,
                                      Branches::kAtJoin, Branches::kInterleaved};

struct BranchCase {
  DeviceKind device;
  DeviceOptions options = {};
};

// Every way to run a branch on this machine.
std::vector<BranchCase> every_case() {
  std::vector<BranchCase> cases{{DeviceKind::kCuda}, {DeviceKind::kCuda, {.branches = Branches::kInPlace}}};
  for (const DeviceKind device : {DeviceKind::kCpu, DeviceKind::kSimt})
    for (const Branches branches : kHostBranches)
      for (const std::uint32_t seed : {1u, 2u, 3u})
        if (branches == Branches::kInterleaved || seed == 1)
          cases.push_back({device, {.branches = branches, .branch_seed = seed}});
  return cases;
}

// sum takes each of the values 1, 2, 4, ... on the branch, while the main branch doubles it.
class Doubling {
 public:
  Doubling(Device& device, StreamMode mode) : device_(device), stream_(device.make_stream(mode)) { reset(); }

  Stream& stream() { return *stream_; }
  void reset() {
    for (auto& [memory, start] : {std::pair{&x_, 1.0f}, {&next_, 0.0f}, {&sum_, 0.0f}}) {
      if (!memory->data()) *memory = DeviceMemory(device_, sizeof(float), "a test buffer");
      stream_->upload(memory->data(), &start, sizeof(float));
      stream_->synchronize();
    }
  }
  // The fork may lag behind by `lag` others. Without the join, x is overwritten too early.
  void enqueue(int times, int lag = 0, bool join = true) {
    for (int i = 0; i < times; ++i) {
      const Stream::Fork reader = stream_->fork([&] { add(*stream_, of(sum_, x_, sum_)); });
      add(*stream_, of(x_, x_, next_));
      if (join) stream_->join(reader - lag);
      stream_->copy(x_.data(), next_.data(), sizeof(float));
    }
    stream_->join();
  }
  float sum() {
    float sum = 0;
    stream_->download(&sum, sum_.data(), sizeof(float));
    stream_->synchronize();
    return sum;
  }

 private:
  static AddArgs of(const DeviceMemory& a, const DeviceMemory& b, const DeviceMemory& out) {
    return {a.data(), b.data(), out.data(), 1, DType::kF32};
  }

  Device& device_;
  std::unique_ptr<Stream> stream_;
  DeviceMemory x_, next_, sum_;
};

class StreamBranchTest : public testing::TestWithParam<BranchCase> {
 protected:
  void SetUp() override { device_ = device_or_skip(GetParam().device, GetParam().options); }

  std::unique_ptr<Device> device_;
};

std::string name_of(const testing::TestParamInfo<BranchCase>& info) {
  const auto& [device, options] = info.param;
  return fmt::format("{}_{}_{}", to_string(device), static_cast<int>(options.branches), options.branch_seed);
}
INSTANTIATE_TEST_SUITE_P(Devices, StreamBranchTest, testing::ValuesIn(every_case()), name_of);

TEST_P(StreamBranchTest, JoinedForksGiveTheSameEverywhere) {
  for (const StreamMode mode : {StreamMode::kImmediate, StreamMode::kDeferred}) {
    Doubling doubling(*device_, mode);
    doubling.enqueue(5);
    EXPECT_EQ(doubling.sum(), 31);
    doubling.reset();
    const auto recording = doubling.stream().record([&] { doubling.enqueue(3); });
    EXPECT_EQ(recording->commands(), 9u) << "forks and joins are not commands";
    EXPECT_EQ(doubling.sum(), 0);
    doubling.stream().replay(*recording);
    doubling.enqueue(1);
    doubling.stream().replay(*recording);
    EXPECT_EQ(doubling.sum(), 127);
  }
}

// A run in each order, with a join too few. The orders that a GPU could take show it.
TEST(HostBranchTest, AMissingOrTooEarlyJoinIsSeen) {
  const auto sum = [](const DeviceOptions& options, int lag, bool join) {
    const auto device = make_device(DeviceKind::kCpu, options);
    Doubling doubling(*device, StreamMode::kImmediate);
    doubling.enqueue(5, lag, join);
    return doubling.sum();
  };
  for (const auto& [lag, join] : {std::pair{0, false}, {1, true}, {2, true}}) {
    for (const Branches branches : {Branches::kInPlace, Branches::kBeside, Branches::kAtFork})
      EXPECT_EQ(sum({.branches = branches}, lag, join), 31);
    EXPECT_NE(sum({.branches = Branches::kAtJoin}, lag, join), 31);
    int seen = 0;
    for (std::uint32_t seed = 0; seed < 8; ++seed)
      seen += sum({.branches = Branches::kInterleaved, .branch_seed = seed}, lag, join) != 31;
    EXPECT_GT(seen, 4) << lag;
  }
}

// Which commands have run after each call of a sequence.
TEST(HostBranchTest, AHostStreamRunsTheBranchWhenItsOptionSays) {
  const auto seen = [](Branches branches) {
    const auto device = make_device(DeviceKind::kCpu, {.branches = branches});
    const auto stream = device->make_stream();
    std::string text;
    const auto append = [&](char letter) {
      struct Args {
        std::string* to;
        char letter;
      };
      enqueue<Args>(*stream, "append", {&text, letter}, [](const Args& args) { *args.to += args.letter; });
    };
    const Stream::Fork first = stream->fork([&] {
      append('a');
      append('b');
    });
    append('1');
    stream->fork([&] { append('c'); });
    append('2');
    stream->join(first);
    append('3');
    stream->synchronize();
    return text;
  };
  for (const Branches branches : {Branches::kInPlace, Branches::kBeside, Branches::kAtFork})
    EXPECT_EQ(seen(branches), "ab1c23");
  EXPECT_EQ(seen(Branches::kAtJoin), "12ab3c");
  EXPECT_THAT(seen(Branches::kInterleaved), testing::ContainsRegex("a.*b.*c"));
}

TEST(HostBranchTest, OnlySomeDevicesHaveBranches) {
  for (const DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kSimt})
    for (const Branches branches : kHostBranches)
      EXPECT_EQ(make_device(kind, {.branches = branches})->has_branches(), branches > Branches::kBeside);
}

TEST(HostBranchTest, DebugSyncRunsTheBranchInPlace) {
  const auto device = make_device(DeviceKind::kCpu, {.debug_sync = true, .branches = Branches::kAtJoin});
  Doubling doubling(*device, StreamMode::kDeferred);
  doubling.enqueue(5, 0, /*join=*/false);
  EXPECT_EQ(doubling.sum(), 31);
}

TEST_P(StreamBranchTest, RefusesWhatABranchCannotDo) {
  const auto stream = device_->make_stream();
  const DeviceMemory memory(*device_, 4, "a test");
  int host = 0;
  const std::function<void()> bodies[] = {[&] { stream->fork([] {}); },
                                          [&] { stream->join(); },
                                          [&] { stream->upload(memory.data(), &host, 4); },
                                          [&] { stream->download(&host, memory.data(), 4); },
                                          [&] { stream->synchronize(); },
                                          [&] { stream->record([] {}); }};
  for (const auto& body : bodies) {
    EXPECT_THROW(stream->fork(body), Error);
    stream->join();
  }
  EXPECT_THROW(stream->join(100), Error);
  EXPECT_THAT([&] { stream->record([&] { stream->fork([] {}); }); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("has not been joined")));
  const auto recording = stream->record([&] {
    stream->fork([&] { stream->zero(memory.data(), 4); });
    stream->join();
  });
  EXPECT_EQ(recording->commands(), 1u);
  stream->fork([&] { stream->zero(memory.data(), 4); });
  EXPECT_THROW(stream->replay(*recording), Error);
  EXPECT_THROW(stream->record([] {}), Error);
  stream->synchronize();
  EXPECT_TRUE(stream->joined());
  stream->replay(*recording);
  stream->synchronize();
}

// After an error nothing of the branch is left.
TEST(HostBranchTest, SurvivesAnError) {
  for (const Branches branches : kHostBranches) {
    const auto device = make_device(DeviceKind::kCpu, {.branches = branches});
    Doubling doubling(*device, StreamMode::kDeferred);
    Stream& stream = doubling.stream();
    EXPECT_THROW(stream.fork([] { throw Error("the body failed"); }), Error);
    stream.join();
    EXPECT_THROW(stream.record([&] { stream.fork([] { throw Error("the body failed"); }); }), Error);
    EXPECT_NO_THROW(stream.record([] {}));
    struct Nothing {};
    stream.fork(
        [&] { enqueue<Nothing>(stream, "fails", {}, [](const Nothing&) { throw Error("failed"); }); });
    stream.fork([&] { stream.zero(nullptr, 0); });
    EXPECT_THROW(stream.synchronize(), Error);
    EXPECT_NO_THROW(stream.synchronize());
    doubling.enqueue(5);
    EXPECT_EQ(doubling.sum(), 31);
  }
}

}  // namespace
}  // namespace tdds::test
