#include "kernels/runtime/stream.h"

#include <algorithm>
#include <optional>

#include "kernels/ops/advance.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class StreamTest : public OpTest {};

TEST_P(StreamTest, UploadCopyZeroDownload) {
  const std::vector<float> values{1, 2, 3, 4};
  auto a = empty<float>(4), b = empty<float>(4);
  stream().upload(a.data(), values.data(), 16);
  stream().copy(b.data(), a.data(), 16);
  stream().zero(b.data() + 1, 8);
  EXPECT_EQ(download(b), (std::vector<float>{1, 0, 0, 4}));
  EXPECT_EQ(download(a), values);
}

TEST_P(StreamTest, FreshMemoryIsNaN) {
  for (const float value : download(empty<float>(100))) EXPECT_TRUE(std::isnan(value));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(empty<float>(3).data()) % 256, 0u);
}

TEST_P(StreamTest, DeferredRunsNothingBeforeSynchronize) {
  if (GetParam().device == DeviceKind::kCuda) GTEST_SKIP() << "a GPU may run commands at any time";
  std::vector<float> host{1}, result{-1};
  auto memory = empty<float>(1);
  stream().upload(memory.data(), host.data(), 4);
  stream().download(result.data(), memory.data(), 4);
  EXPECT_EQ(result[0], -1);
  host[0] = 5;  // reused too soon: the stream reads it when the command runs
  stream().synchronize();
  EXPECT_EQ(result[0], 5);
}

// As batches from the disk do: two host buffers in turn, and a recorded step with fixed addresses.
TEST_P(StreamTest, UploadsAheadArriveInTheirTurn) {
  constexpr std::int64_t kCount = 1 << 18;
  HostMemory hosts[2];
  for (HostMemory& host : hosts) host = HostMemory(stream().device(), kCount * sizeof(float), "a test");
  auto x = empty<float>(kCount), staging = empty<float>(kCount), sum = upload(std::vector<float>(kCount));
  const auto step = stream().record([&] {  // sum = 2 sum + x
    add(stream(), {sum, sum, sum, kCount, DType::kF32});
    add(stream(), {sum, x, sum, kCount, DType::kF32});
  });
  Stream::Upload uploads[2] = {};
  float want = 0;
  for (int i = 1; i <= 12; ++i) {
    stream().wait_for(uploads[i % 2]);
    float* const host = hosts[i % 2].get<float>();
    std::fill_n(host, kCount, static_cast<float>(i));
    uploads[i % 2] = stream().upload_ahead(x.data(), staging.data(), host, kCount * sizeof(float));
    stream().replay(*step);
    want = 2 * want + static_cast<float>(i);
  }
  EXPECT_EQ(download(sum), std::vector<float>(kCount, want));
}

TEST_P(StreamTest, ArgumentsAreCopiedWhenEnqueued) {
  auto a = upload<float>({1, 2}), b = upload<float>({10, 20}), out = empty<float>(2);
  AddArgs args{a, b, out, 2, DType::kF32};
  add(stream(), args);
  args = {nullptr, nullptr, nullptr, -1, DType::kF64};
  EXPECT_EQ(download(out), (std::vector<float>{11, 22}));
}

TEST_P(StreamTest, RecordingRunsNothingAndReplayRepeats) {
  auto x = upload<float>({1}), sum = upload<float>({0});
  AddArgs args{sum, x, sum, 1, DType::kF32};
  const auto recording = stream().record([&] { add(stream(), args); });
  EXPECT_EQ(recording->commands(), 1u);
  args.a = args.b = args.out = nullptr;
  EXPECT_EQ(download(sum)[0], 0);
  for (int i = 0; i < 3; ++i) stream().replay(*recording);
  EXPECT_EQ(download(sum)[0], 3);
}

TEST_P(StreamTest, RecordingsDoNotNestAndSurviveAnError) {
  EXPECT_THROW(stream().record([&] { stream().record([] {}); }), Error);
  EXPECT_THROW(stream().record([] { throw Error("the body failed"); }), Error);
  auto x = upload<float>({1});
  const auto recording = stream().record([&] { add(stream(), {x, x, x, 1, DType::kF32}); });
  stream().replay(*recording);
  EXPECT_EQ(download(x)[0], 2);
}

TEST_P(StreamTest, SynchronizeThrowsTheErrorOfACommand) {
  if (!is_cpu()) GTEST_SKIP() << "only commands of the CPU throw";
  auto logits = upload<float>({1, 2});
  auto labels = upload<std::int32_t>({7}), order = upload<std::int32_t>({0});
  auto state = upload<StepState>({state_at(0, 0, 0)});
  SoftmaxKlArgs args{};
  args.logits = logits;
  args.labels = labels;
  args.order = order;
  args.state = state;
  args.batch = 1;
  args.classes = 2;
  softmax_kl(stream(), args);
  EXPECT_THROW(stream().synchronize(), Error);
  EXPECT_NO_THROW(stream().synchronize()) << "the queue is empty again";
}

// With debug_sync the command itself throws, even on a deferred stream, and the error names it and its layer.
TEST(DebugSyncTest, AnErrorNamesTheCommandAndItsLayer) {
  const auto device = make_device(DeviceKind::kCpu, {.debug_sync = true});
  const auto stream = device->make_stream(StreamMode::kDeferred);
  const float logits[2] = {1, 2};
  const std::int32_t labels[1] = {7}, order[1] = {0};
  const StepState state = state_at(0, 0, 0);
  SoftmaxKlArgs args{};
  args.logits = logits;
  args.labels = labels;
  args.order = order;
  args.state = &state;
  args.batch = 1;
  args.classes = 2;
  try {
    const StreamRange range(*stream, "the head");
    softmax_kl(*stream, args);
    FAIL() << "the command did not run immediately";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the command 'softmax_kl' of the head failed"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(stream->of_range(), "");
}

TEST(StreamRangeTest, KeepsItsNameAndRestoresTheOuterOne) {
  const auto device = make_device(DeviceKind::kCpu);
  const auto stream = device->make_stream(StreamMode::kDeferred);
  // Names that are destroyed or changed before the range ends, too long for the small-string buffer.
  std::string name = "layer1.0.downsample.0 and more";
  {
    const StreamRange outer(*stream, std::string("layer4.2.downsample.0 and more"));
    {
      const StreamRange inner(*stream, name);
      name.assign(name.size(), '?');
      EXPECT_EQ(stream->of_range(), " of layer1.0.downsample.0 and more");
    }
    EXPECT_EQ(stream->of_range(), " of layer4.2.downsample.0 and more");
  }
  EXPECT_EQ(stream->of_range(), "");
}

// A whole step in device memory: only state, order and the learning rates change from step to step.
class StepLoop {
 public:
  static constexpr int kSamples = 12, kBatch = 4, kClasses = 5, kSteps = 3;

  StepLoop(Device& device, StreamMode mode) : device_(device), stream_(device.make_stream(mode)) {
    put(logits_, random_values(kBatch * kClasses, 1));
    put(velocity_, std::vector<float>(kBatch * kClasses, 0));
    put(lr_, std::vector<float>{0.5f, 0.25f, 0.125f});
    std::vector<std::int32_t> labels(kSamples), order(kSamples);
    for (int i = 0; i < kSamples; ++i) {
      labels[i] = i % kClasses;
      order[i] = (5 * i + 1) % kSamples;
    }
    put(labels_, labels);
    put(order_, order);
    put(state_, std::vector<StepState>{state_at(0, 0, 0)});
    dlogits_ = DeviceMemory(device, kBatch * kClasses * 4, "dlogits");
    prev_ = DeviceMemory(device, kSamples * kClasses * 4, "prev");
    loss_ = DeviceMemory(device, kSamples * 4, "loss");
    correct_ = DeviceMemory(device, kSamples, "correct");
  }

  // Trains the logits themselves.
  void enqueue_step() {
    SoftmaxKlArgs loss{};
    loss.logits = logits_.get<float>();
    loss.labels = labels_.get<std::int32_t>();
    loss.order = order_.get<std::int32_t>();
    loss.state = state_.get<StepState>();
    loss.dlogits = dlogits_.get<float>();
    loss.prev_logp = prev_.get<float>();
    loss.out.loss = loss_.get<float>();
    loss.out.correct = correct_.get<std::uint8_t>();
    loss.loss_scale = 1;
    loss.batch = kBatch;
    loss.classes = kClasses;
    softmax_kl(*stream_, loss);
    check_finite(*stream_, {dlogits_.data(), state_.get<StepState>(), kBatch * kClasses, DType::kF32});
    sgd(*stream_, {logits_.get<float>(), velocity_.get<float>(), dlogits_.data(), nullptr, lr_.get<float>(),
                   state_.get<StepState>(), kBatch * kClasses, DType::kF32, DType::kF32, 0.9f, 0, 1, true});
    advance(*stream_, {state_.get<StepState>(), order_.get<std::int32_t>(), loss_.get<float>(),
                       correct_.get<std::uint8_t>(), kBatch, true});
    loss = {};  // a stream that kept a reference would now read null pointers
  }

  void run_eagerly() {
    for (int i = 0; i < kSteps; ++i) enqueue_step();
  }
  // Like the trainer: runs the first step eagerly, then records the next one on the same stream.
  void run_recorded() {
    enqueue_step();
    const auto recording = stream_->record([&] { enqueue_step(); });
    EXPECT_EQ(recording->commands(), 4u);
    for (int i = 1; i < kSteps; ++i) stream_->replay(*recording);
    stream_->synchronize();
  }

  std::pair<std::vector<float>, StepState> result() {
    std::vector<float> logits(kBatch * kClasses);
    StepState state{};
    stream_->download(logits.data(), logits_.data(), logits.size() * 4);
    stream_->download(&state, state_.data(), sizeof(state));
    stream_->synchronize();
    return {logits, state};
  }

 private:
  template <class T>
  void put(DeviceMemory& memory, const std::vector<T>& values) {
    memory = DeviceMemory(device_, values.size() * sizeof(T), "a test buffer");
    stream_->upload(memory.data(), values.data(), values.size() * sizeof(T));
    stream_->synchronize();
  }

  Device& device_;
  std::unique_ptr<Stream> stream_;
  DeviceMemory logits_, velocity_, lr_, labels_, order_, state_, dlogits_, prev_, loss_, correct_;
};

TEST_P(StreamTest, DeferredRecordedAndImmediateStepsAreEqualBitForBit) {
  std::optional<std::vector<float>> first;
  for (const StreamMode mode : {StreamMode::kImmediate, StreamMode::kDeferred})
    for (const bool recorded : {false, true}) {
      StepLoop loop(device(), mode);
      recorded ? loop.run_recorded() : loop.run_eagerly();
      const auto [logits, state] = loop.result();
      EXPECT_EQ(state.step, 3);
      EXPECT_EQ(state.cursor, 12);
      EXPECT_GT(state.loss_sum, 0);
      if (!first) first = logits;
      EXPECT_EQ(logits, *first) << "recorded " << recorded;
    }
}

TEST_P(StreamTest, ReplayingAllocatesNothing) {
  StepLoop loop(device(), StreamMode::kDeferred);
  const std::int64_t before = device().allocations();
  loop.run_recorded();
  EXPECT_EQ(device().allocations(), before);
}

TEST(DeviceTest, OutOfMemoryNamesTheAllocation) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer ends the program at such a request";
#endif
  const auto device = make_device(DeviceKind::kCpu);
  try {
    device->allocate(std::size_t{1} << 60, "the saved activations");
    FAIL() << "2^60 bytes were allocated";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the saved activations"), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, StreamTest, testing::ValuesIn(every_device()), name_of_case);

}  // namespace
}  // namespace tdds::test
