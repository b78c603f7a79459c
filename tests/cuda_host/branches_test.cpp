// Branches of the CUDA stream on the fake runtime: events and their order, captured and eager, the handles,
// and which kernels may start early.

#include <gmock/gmock.h>

#include <thread>

#include "kernels/cuda/cudnn/conv2d.h"
#include "kernels/cuda/cudnn/cudnn_device.h"
#include "kernels/runtime/check.h"
#include "tests/cuda_host/cuda_host_fixture.h"

namespace tdds {
namespace {

using fake::cudnn;
using fake::kNoOps;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class CudaBranchTest : public fake::CudaHostTest {
 protected:
  void make(const DeviceOptions& options = {}) {
    device_ = std::make_unique<CudnnDevice>(kNoOps, options);
    stream_ = device_->make_stream(StreamMode::kImmediate);
    runtime_.event_calls.clear();
  }
  void TearDown() override {
    stream_.reset();
    device_.reset();
  }

  // A command that appends a letter to ran_.
  void command(char letter) {
    CudaCommand command(*stream_, "append");
    fake::enqueue(command.stream(), [this, letter] { ran_ += letter; });
    command.finish();
  }
  void fork(char letter) {
    forks_.push_back(stream_->fork([&] { command(letter); }));
  }
  // Main branch: a c e g, with b behind a and in front of g, and d behind b and c.
  void enqueue() {
    forks_.clear();
    command('a');
    fork('b');
    command('c');
    fork('d');
    command('e');
    stream_->join(forks_[0]);
    command('g');
  }
  std::string ran_after_synchronize() {
    ran_.clear();
    stream_->synchronize();
    return ran_;
  }
  // Launches a kernel; whether it may start early.
  bool launch() {
    const int before = runtime_.dependent_launches, kernel = 0;
    CudaCommand(*stream_, "a kernel").launch(&kernel, {1}, {32}, 0, nullptr);
    return runtime_.dependent_launches > before;
  }

  std::unique_ptr<CudnnDevice> device_;
  std::unique_ptr<Stream> stream_;
  std::vector<Stream::Fork> forks_;
  std::string ran_;
};

TEST_F(CudaBranchTest, RunsAsLateAsItsJoinAllows) {
  make();
  for (int i = 0; i < 3; ++i) {
    enqueue();
    EXPECT_EQ(ran_after_synchronize(), "acebgd");
  }
}

// Stream 1 is that of the device, stream 2 the main branch with events of its own, stream 3 the branch.
TEST_F(CudaBranchTest, AForkAndAJoinAreARecordAndAWait) {
  make();
  EXPECT_EQ(runtime_.made_streams, 3);
  EXPECT_EQ(runtime_.timed_events, 0);
  enqueue();
  const auto want = ElementsAre("event 3 records stream 2", "stream 3 waits for event 3",  //
                                "event 5 records stream 3",                                // fork 1
                                "event 3 records stream 2", "stream 3 waits for event 3",  //
                                "event 6 records stream 3",                                // fork 2
                                "stream 2 waits for event 5",                              // join 1
                                "stream 2 waits for event 6");                             // all
  stream_->synchronize();
  EXPECT_THAT(runtime_.event_calls, want);
  stream_->join();
  EXPECT_EQ(runtime_.event_calls.size(), 8u) << "everything is joined";
}

TEST_F(CudaBranchTest, IsCapturedIntoTheSameGraph) {
  make();
  const auto recording = stream_->record([&] {
    enqueue();
    stream_->join();
  });
  EXPECT_EQ(recording->commands(), 6u);
  EXPECT_EQ(ran_after_synchronize(), "");
  for (const bool latest_first : {false, true, false}) {
    runtime_.latest_node_first = latest_first;
    stream_->replay(*recording);
    EXPECT_EQ(ran_after_synchronize(), latest_first ? "acebgd" : "abcdeg");
    enqueue();  // eager steps in between
    EXPECT_EQ(ran_after_synchronize(), "acebgd");
  }
}

TEST_F(CudaBranchTest, RunsInPlaceWithDebugSyncAndWhereItIsTurnedOff) {
  make({.debug_sync = true});
  stream_->fork([&] {
    command('a');
    EXPECT_EQ(ran_, "a") << "every command is waited for";
    command('b');
    EXPECT_EQ(ran_, "ab");
  });
  command('c');
  EXPECT_EQ(ran_, "abc");
  stream_->join();
  ran_.clear();
  const auto recording = stream_->record([&] {
    enqueue();
    stream_->join();
  });
  EXPECT_EQ(ran_, "");
  stream_->replay(*recording);
  EXPECT_EQ(ran_, "abcdeg");

  TearDown();
  const int streams = runtime_.made_streams, events = runtime_.made_events;
  make({.branches = Branches::kInPlace});
  EXPECT_FALSE(device_->has_branches());
  EXPECT_EQ(runtime_.made_streams - streams, 2);
  EXPECT_EQ(runtime_.made_events - events, 4) << "of the uploads";
  EXPECT_EQ(cudnn().handles, 2);
  enqueue();
  EXPECT_EQ(ran_after_synchronize(), "abcdeg");
  EXPECT_THAT(runtime_.event_calls, ElementsAre());
}

// Events are taken over by later forks. A join of one of the earlier forks waits for these too.
TEST_F(CudaBranchTest, ManyForksMakeNothingAndStayInOrder) {
  make();
  const int events = runtime_.made_events, streams = runtime_.made_streams, mallocs = runtime_.mallocs;
  for (int late = 0; late < 26; ++late) {
    forks_.clear();
    for (char letter = 'a'; letter <= 'z'; ++letter) fork(letter);
    stream_->join(forks_[static_cast<std::size_t>(late)]);
    command('!');
    const std::string ran = ran_after_synchronize();
    const std::size_t joined = ran.find('!');
    EXPECT_GT(joined, static_cast<std::size_t>(late)) << ran;
    if (late >= 18) {
      EXPECT_EQ(joined, static_cast<std::size_t>(late) + 1) << "it waits for no other";
    }
  }
  EXPECT_EQ(runtime_.made_events, events);
  EXPECT_EQ(runtime_.made_streams, streams);
  EXPECT_EQ(runtime_.mallocs, mallocs);
}

// A kernel starts early only behind the one kernel in front of it.
TEST_F(CudaBranchTest, NoKernelStartsEarlyBehindAForkOrAJoin) {
  make();
  const auto body = [&] {
    launch();
    EXPECT_TRUE(launch());
    forks_ = {stream_->fork([&] {
      EXPECT_FALSE(launch());
      EXPECT_TRUE(launch());
    })};
    EXPECT_FALSE(launch());
    EXPECT_TRUE(launch());
    stream_->join(forks_[0]);
    EXPECT_FALSE(launch());
    EXPECT_TRUE(launch());
    stream_->fork([&] { command('b'); });
    command('c');  // a library's kernels are launched as usual
    EXPECT_TRUE(launch());
    stream_->join();
    command('d');
    EXPECT_TRUE(launch());
    stream_->join(forks_[0]);
    EXPECT_TRUE(launch()) << "this fork has been joined";
  };
  body();
  EXPECT_EQ(stream_->record(body)->commands(), 14u);
  runtime_.sm = 89;
  TearDown();
  make();
  stream_->fork([&] { EXPECT_FALSE(launch()); });
  EXPECT_FALSE(launch());
}

TEST_F(CudaBranchTest, HasACudnnHandleOfItsOwnAndNoCublasHandle) {
  fake::PlannedGpu planned;
  const auto conv = make_cuda_conv2d(planned, {.batch = 128,
                                               .height = 8,
                                               .width = 8,
                                               .channels = 64,
                                               .out_channels = 64,
                                               .filter_h = 3,
                                               .filter_w = 3,
                                               .padding = 1});
  EXPECT_LE(conv->filter_workspace_bytes(), conv->workspace_bytes());
  make();
  EXPECT_EQ(cudnn().handles, 3) << "of the device's stream, of this stream and of its branch";
  auto& stream = static_cast<CudaStream&>(*stream_);
  const cudaStream_t main = stream.get();
  const DeviceMemory memory(*device_, 1 << 20, "a test");
  void* at = memory.data();
  const auto body = [&] {
    cudaStream_t branch = nullptr;
    stream.fork([&] {
      branch = stream.get();
      conv->backward_filter(stream, at, at, at, at);
    });
    EXPECT_NE(branch, main);
    EXPECT_EQ(cudnn().stream, branch);
    conv->backward_data(stream, at, at, at, false, at);
    EXPECT_EQ(cudnn().stream, main);
    EXPECT_EQ(stream.get(), main);
    stream.join();
  };
  body();
  stream.record(body);
  EXPECT_NO_THROW(stream.cublas());
  EXPECT_THAT([&] { stream.fork([&] { stream.cublas(); }); },
              ThrowsMessage<Error>(HasSubstr("cuBLAS has no handle for a branch")));
}

TEST_F(CudaBranchTest, AnErrorInAForkEndsTheCapture) {
  make();
  const auto fails = [&] {
    stream_->fork([&] {
      command('a');
      throw Error("of the body");
    });
  };
  EXPECT_THAT([&] { stream_->record(fails); }, ThrowsMessage<Error>(HasSubstr("of the body")));
  EXPECT_THAT([&] { stream_->record([&] { fork('a'); }); },
              ThrowsMessage<Error>(HasSubstr("has not been joined")));
  EXPECT_EQ(runtime_.misuse, "");
  EXPECT_THROW(fails(), Error);
  EXPECT_THROW(stream_->record([] {}), Error) << "a graph cannot wait for work outside of it";
  EXPECT_EQ(ran_after_synchronize(), "a");
  EXPECT_EQ(stream_
                ->record([&] {
                  enqueue();
                  stream_->join();
                })
                ->commands(),
            6u);
}

TEST_F(CudaBranchTest, WorksFromAnotherThreadOnTheSecondGpu) {
  make({.ordinal = 1});
  std::thread([&] {
    stream_->fork([&] { command('a'); });
    stream_->join();
    stream_->synchronize();
  }).join();
  EXPECT_EQ(ran_, "a");
}

}  // namespace
}  // namespace tdds
