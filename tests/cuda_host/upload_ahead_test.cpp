// Uploads ahead of their turn on the fake runtime: their events, what the host waits for, memory that cannot
// be pinned, and the batches of a data set on the disk.

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "engine/batch_prefetcher.h"
#include "kernels/cuda/cudnn/cudnn_device.h"
#include "kernels/runtime/check.h"
#include "tests/cuda_host/cuda_host_fixture.h"

namespace tdds {

// In place of engine/data_parallel.cpp, which needs the whole engine. There is one process here.
BatchSlice slice_of(std::int32_t batch, int, int) {
  return {.first = 0, .count = batch};
}

namespace {

using fake::kNoOps;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class CudaUploadTest : public fake::CudaHostTest {
 protected:
  static constexpr std::size_t kBytes = 64;

  void make(const DeviceOptions& options = {}) {
    device_ = std::make_unique<CudnnDevice>(kNoOps, options);
    stream_ = device_->make_stream(StreamMode::kImmediate);
    for (HostMemory& host : hosts_) host = HostMemory(*device_, kBytes, "a test");
    images_ = DeviceMemory(*device_, kBytes, "a test");
    staging_ = DeviceMemory(*device_, kBytes, "a test");
    runtime_.event_calls.clear();
  }
  void TearDown() override {
    for (HostMemory& host : hosts_) host = {};
    images_ = {};
    staging_ = {};
    stream_.reset();
    device_.reset();
  }

  Stream::Upload upload(int buffer, int value) {
    int* const host = hosts_[buffer].get<int>();
    std::fill_n(host, kBytes / sizeof(int), value);
    return stream_->upload_ahead(images_.data(), staging_.data(), host, kBytes);
  }
  // A command that appends what it finds in the images to read_.
  void step() {
    CudaCommand command(*stream_, "step");
    fake::enqueue(command.stream(), [this] { read_.push_back(images_.get<int>()[3]); });
    command.finish();
  }

  std::unique_ptr<CudnnDevice> device_;
  std::unique_ptr<Stream> stream_;
  HostMemory hosts_[2];
  DeviceMemory images_, staging_;
  std::vector<int> read_;
};

// Stream 2 is the main branch. The transfers have stream 4, event 14 for the copy that empties the staging
// memory, and events 16 and 15 in turn for their ends.
TEST_F(CudaUploadTest, ATransferWaitsOnlyForTheCopyBeforeIt) {
  make();
  EXPECT_EQ(runtime_.made_streams, 3) << "streams that upload nothing ahead need no third one";
  upload(0, 1);
  upload(1, 2);
  EXPECT_THAT(runtime_.event_calls,
              ElementsAre("stream 4 waits for event 14", "event 16 records stream 4",  //
                          "stream 2 waits for event 16", "event 14 records stream 2",  //
                          "stream 4 waits for event 14", "event 15 records stream 4",  //
                          "stream 2 waits for event 15", "event 14 records stream 2"));
  EXPECT_EQ(runtime_.made_streams, 4);
  EXPECT_EQ(runtime_.timed_events, 0);
}

TEST_F(CudaUploadTest, EachStepReadsItsBatchWhileTheHostIsAhead) {
  make();
  std::unique_ptr<Recording> recording;
  std::vector<Stream::Upload> uploads;
  for (int i = 0; i < 7; ++i) {
    if (i >= 2) stream_->wait_for(uploads[static_cast<std::size_t>(i - 2)]);
    uploads.push_back(upload(i % 2, i));
    // Recorded while a transfer is under way, as the second step of a training is.
    if (i == 1) recording = stream_->record([&] { step(); });
    i == 0 ? step() : stream_->replay(*recording);
    // Upload i - 2 began when the images of step i - 3 had left the staging memory.
    EXPECT_EQ(static_cast<int>(read_.size()), std::max(0, i - 3)) << "the host waited for a step too many";
  }
  stream_->synchronize();
  EXPECT_THAT(read_, ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST_F(CudaUploadTest, CannotBeRecordedNorForked) {
  make();
  const auto uploads = [&] { upload(0, 1); };
  EXPECT_THAT(
      [&] { stream_->record(uploads); },
      ThrowsMessage<Error>(HasSubstr("Stream::upload_ahead: a copy from the host cannot be recorded")));
  EXPECT_THAT([&] { stream_->fork(uploads); }, ThrowsMessage<Error>(HasSubstr("in the body of a fork")));
  stream_->join();
  const Stream::Upload one = upload(0, 5);
  EXPECT_THAT([&] { stream_->record([&] { stream_->wait_for(one); }); },
              ThrowsMessage<Error>(HasSubstr("not allowed while recording")));
  step();
  stream_->synchronize();
  EXPECT_THAT(read_, ElementsAre(5));
}

TEST_F(CudaUploadTest, DebugSyncWaitsForTheUpload) {
  make({.debug_sync = true});
  upload(0, 7);
  EXPECT_EQ(images_.get<int>()[0], 7);
}

// The GPU reads it until then.
TEST_F(CudaUploadTest, HostMemoryIsFreedWhenItsUploadHasRun) {
  make({.ordinal = 1});
  upload(0, 8);
  std::thread([&] { hosts_[0] = {}; }).join();  // whose current GPU is another one
  step();
  stream_->synchronize();
  EXPECT_THAT(read_, ElementsAre(8));
}

TEST_F(CudaUploadTest, MemoryThatCannotBePinnedIsUploadedInItsTurn) {
  make();
  EXPECT_TRUE(device_->notes().empty());
  runtime_.pinnable_bytes = 32;
  for (HostMemory& host : hosts_) host = HostMemory(*device_, kBytes, "a batch of images");
  ASSERT_EQ(device_->notes().size(), 1u) << "said once";
  EXPECT_THAT(device_->notes()[0], HasSubstr("for a batch of images cannot be pinned (cudaErrorFake"));
  for (int i = 0; i < 5; ++i) {
    const Stream::Upload done = upload(0, i);
    EXPECT_EQ(done, Stream::kNoUpload) << "the buffer has been read";
    stream_->wait_for(done);
    step();
  }
  stream_->synchronize();
  EXPECT_THAT(read_, ElementsAre(0, 1, 2, 3, 4));
}

class NumberedImages : public ImageSource {
 public:
  static constexpr std::int64_t kBytes = 12;
  void read(std::int64_t row, std::uint8_t* out) const override {
    std::fill_n(out, kBytes, static_cast<std::uint8_t>(row));
  }
  std::uint32_t checksum(std::int64_t) const override { return 0; }
  Sums sums(std::int64_t) const override { return {}; }
};

TEST_F(CudaUploadTest, BatchesFromTheDiskArriveWhileEarlierStepsRun) {
  for (const std::size_t pinnable : {std::size_t{1} << 30, std::size_t{0}}) {
    make();
    runtime_.pinnable_bytes = pinnable;
    const NumberedImages source;
    std::vector<std::int32_t> order(11), seen;
    std::iota(order.begin(), order.end(), 20);
    {
      BatchPrefetcher prefetcher(*device_, *stream_, source, NumberedImages::kBytes, 2);
      const std::uint8_t* images = prefetcher.images();
      for (int epoch = 0; epoch < 2; ++epoch) {
        seen.clear();
        std::reverse(order.begin(), order.end());
        prefetcher.start(order, 0);
        for (std::size_t at = 0, batch = 0; at < order.size(); at += 2, ++batch) {
          prefetcher.feed();
          // The host buffer of the batch before is free when its transfer has run, two steps ahead.
          if (pinnable > 0) {
            EXPECT_EQ(seen.size(), 2 * (std::max<std::size_t>(batch, 2) - 2));
          }
          const std::size_t count = std::min<std::size_t>(2, order.size() - at);
          CudaCommand command(*stream_, "step");
          fake::enqueue(command.stream(), [&seen, images, count] {
            for (std::size_t i = 0; i < count; ++i)
              seen.push_back(images[(i + 1) * NumberedImages::kBytes - 1]);
          });
          command.finish();
        }
        stream_->synchronize();
        EXPECT_EQ(seen, order);
      }
    }
    TearDown();
  }
}

}  // namespace
}  // namespace tdds
