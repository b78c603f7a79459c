// NCCL's calls for the exchanges among ranks, on a stand-in for the library and the fake runtime: their
// arguments, order and stream, eager, on the branch, and captured.

#include "kernels/cuda/nccl/nccl_collectives.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>

#include "kernels/cuda/cudnn/cudnn_device.h"
#include "kernels/cuda/nccl/nccl_library.h"
#include "kernels/ranks/ranks.h"
#include "kernels/runtime/check.h"
#include "tests/cuda_host/cuda_host_fixture.h"
#include "tests/cuda_host/fake_nccl.h"
#include "tests/paths.h"

#if __has_include(<nccl.h>)
#include <nccl.h>
// The declarations of kernels/cuda/nccl/nccl_library.h are those of NCCL.
static_assert(sizeof(tdds::nccl::UniqueId) == sizeof(ncclUniqueId));
static_assert(tdds::nccl::kSuccess == ncclSuccess && tdds::nccl::kSum == ncclSum);
static_assert(tdds::nccl::kUint8 == ncclUint8 && tdds::nccl::kFloat16 == ncclFloat16 &&
              tdds::nccl::kFloat32 == ncclFloat32 && tdds::nccl::kBfloat16 == ncclBfloat16);
static_assert(sizeof(ncclResult_t) == sizeof(int) && sizeof(ncclDataType_t) == sizeof(int));
static_assert(
    std::is_same_v<decltype(&ncclAllReduce), ncclResult_t (*)(const void*, void*, std::size_t, ncclDataType_t,
                                                              ncclRedOp_t, ncclComm_t, cudaStream_t)>);
static_assert(
    std::is_same_v<decltype(&ncclAllGather), ncclResult_t (*)(const void*, void*, std::size_t, ncclDataType_t,
                                                              ncclComm_t, cudaStream_t)>);
static_assert(
    std::is_same_v<decltype(&ncclBroadcast), ncclResult_t (*)(const void*, void*, std::size_t, ncclDataType_t,
                                                              int, ncclComm_t, cudaStream_t)>);
static_assert(
    std::is_same_v<decltype(&ncclCommInitRank), ncclResult_t (*)(ncclComm_t*, int, ncclUniqueId, int)>);
#endif

namespace tdds {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// One rank of three, without the others.
class LoneRanks final : public Ranks {
 public:
  explicit LoneRanks(int rank) : Ranks({.rank = rank, .size = 3, .on_machine = rank, .machine_size = 3}) {}
  void all_gather(const void*, void*, std::size_t) override {}
  void all_to_all(const void*, void*, std::size_t) override {}
  void broadcast(void* data, std::size_t bytes) override {
    if (!first()) std::strncpy(static_cast<char*>(data), "from rank 0", bytes);
  }
  void leave() override {}
};

class NcclTest : public fake::CudaHostTest {
 protected:
  NcclTest() {
    void* handle = dlopen(path_.c_str(), RTLD_NOW);
    set_ = reinterpret_cast<fake::SetNccl>(dlsym(handle, "fake_nccl_set"));
    calls_ = reinterpret_cast<fake::NcclCalls>(dlsym(handle, "fake_nccl_calls"));
    set_failing("");
  }
  void set_failing(const char* call) {
    set_([](cudaStream_t stream, void (*run)(void*),
            void* data) { fake::enqueue(stream, [=] { run(data); }); },
         call);
  }
  // The calls since the last.
  std::string calls() {
    stream_->synchronize();
    std::string all = calls_();
    std::string added = all.substr(seen_);
    seen_ = all.size();
    return added;
  }
  void make(int rank) {
    device_ = std::make_unique<CudnnDevice>(fake::kNoOps, DeviceOptions{});
    stream_ = device_->make_stream(StreamMode::kImmediate);
    ranks_ = std::make_unique<LoneRanks>(rank);
    collectives_ = make_nccl_collectives(*device_, *ranks_, path_.c_str());
  }
  void TearDown() override {
    collectives_.reset();
    stream_.reset();
    device_.reset();
  }
  std::string main_stream() const {
    return fmt::format("{}", static_cast<void*>(cuda_stream(*stream_).get()));
  }

  std::string path_ = preload_path("fake_nccl");
  fake::SetNccl set_ = nullptr;
  fake::NcclCalls calls_ = nullptr;
  std::size_t seen_ = 0;
  std::unique_ptr<CudnnDevice> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<LoneRanks> ranks_;
  std::unique_ptr<Collectives> collectives_;
};

TEST_F(NcclTest, Rank0MakesTheIdentityThatAllUse) {
  make(0);
  EXPECT_EQ(calls(), "ncclGetUniqueId\nncclCommInitRank 0 of 3, the identity\n");
  TearDown();
  make(2);
  EXPECT_EQ(calls(), "ncclCommDestroy\nncclCommInitRank 2 of 3, from rank 0\n");
}

TEST_F(NcclTest, EveryExchangeHasItsArgumentsAndTheStream) {
  make(1);
  calls();
  const DeviceMemory memory(*device_, 4096, "slots");
  const std::string data = fmt::format("{}", memory.data());
  const std::string own = fmt::format("{}", static_cast<void*>(memory.get<char>() + 512));
  collectives_->all_gather(*stream_, memory.data(), 512);
  collectives_->sum(*stream_, memory.data(), 100, DType::kF32);
  collectives_->sum(*stream_, memory.data(), 101, DType::kF16);
  collectives_->sum(*stream_, memory.data(), 102, DType::kBf16);
  collectives_->broadcast(*stream_, memory.data(), 64);
  const std::string on = " on " + main_stream() + "\n";
  EXPECT_EQ(calls(), fmt::format("ncclAllGather {} {} 512 type 1 0{}", own, data, on) +
                         fmt::format("ncclAllReduce {} {} 100 type 7 0{}", data, data, on) +
                         fmt::format("ncclAllReduce {} {} 101 type 6 0{}", data, data, on) +
                         fmt::format("ncclAllReduce {} {} 102 type 9 0{}", data, data, on) +
                         fmt::format("ncclBroadcast {} {} 64 type 1 0{}", data, data, on));
  EXPECT_THAT([&] { collectives_->sum(*stream_, memory.data(), 1, DType::kU8); },
              ThrowsMessage<Error>(HasSubstr("no sum of this type")));
}

// In a recording the calls are nodes of the graph, on the branch too: they run at each replay, not before.
TEST_F(NcclTest, CapturedExchangesRunAtEveryReplay) {
  make(1);
  calls();
  const DeviceMemory memory(*device_, 4096, "gradients");
  const auto recording = stream_->record([&] {
    collectives_->sum(*stream_, memory.data(), 10, DType::kF32);
    const Stream::Fork fork =
        stream_->fork([&] { collectives_->sum(*stream_, memory.data(), 20, DType::kF32); });
    stream_->join(fork);
  });
  EXPECT_EQ(calls(), "");
  for (int replay = 0; replay < 2; ++replay) {
    stream_->replay(*recording);
    const std::string ran = calls();
    EXPECT_THAT(ran, HasSubstr(" 10 type 7 0 on " + main_stream()));
    EXPECT_THAT(ran, HasSubstr(" 20 type 7 0 on "));
    EXPECT_THAT(ran, testing::Not(HasSubstr(" 20 type 7 0 on " + main_stream()))) << "it is on the branch";
    EXPECT_EQ(std::count(ran.begin(), ran.end(), '\n'), 2);
  }
}

TEST_F(NcclTest, FailuresSayWhatFailedAndWhere) {
  set_failing("ncclCommInitRank");
  EXPECT_THAT([&] { make(1); }, ThrowsMessage<Error>(HasSubstr(
                                    "ncclCommInitRank failed on rank 1: internal error (the link is down)")));
  set_failing("");
  make(1);
  set_failing("ncclAllReduce");
  const DeviceMemory memory(*device_, 256, "data");
  EXPECT_THAT([&] { collectives_->sum(*stream_, memory.data(), 1, DType::kF32); },
              ThrowsMessage<Error>(HasSubstr("ncclAllReduce failed on rank 1")));
}

TEST_F(NcclTest, AMissingLibrarySaysHowToGetIt) {
  device_ = std::make_unique<CudnnDevice>(fake::kNoOps, DeviceOptions{});
  LoneRanks ranks(0);
  EXPECT_THAT(
      [&] { make_nccl_collectives(*device_, ranks, "/nowhere/libnccl.so.2"); },
      ThrowsMessage<Error>(testing::AllOf(HasSubstr("needs NCCL, which was not found (/nowhere/libnccl.so.2"),
                                          HasSubstr("TDDS_NCCL"))));
  // A library without NCCL's functions.
  EXPECT_THAT([&] { make_nccl_collectives(*device_, ranks, "libdl.so.2"); },
              ThrowsMessage<Error>(HasSubstr("NCCL has no function ncclGetVersion")));
}

}  // namespace
}  // namespace tdds
