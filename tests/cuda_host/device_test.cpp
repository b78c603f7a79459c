// The CUDA device and stream on the fake runtime: lifetimes, staging, recording and errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "kernels/cuda/cudnn/conv2d.h"
#include "kernels/cuda/cudnn/cudnn_device.h"
#include "kernels/cuda/cudnn/plan_timer.h"
#include "kernels/cuda/libraries.h"
#include "kernels/ops/conv2d.h"
#include "kernels/runtime/check.h"
#include "tests/cuda_host/cuda_host_fixture.h"

namespace tdds {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

using fake::CudaHostTest;
using fake::cudnn;
using fake::kNoOps;
using CudaDeviceTest = CudaHostTest;
using CudaStreamTest = CudaHostTest;

TEST_F(CudaDeviceTest, ReportsAMissingGpu) {
  const auto make = [] { CudnnDevice device(kNoOps, {}); };
  runtime_.device_count_status = cudaErrorNoDevice;
  EXPECT_THAT(make, ThrowsMessage<Error>(HasSubstr("no GPU here")));
  runtime_.device_count_status = cudaErrorInsufficientDriver;
  runtime_.driver_version = 12040;
  EXPECT_THAT(make, ThrowsMessage<Error>(HasSubstr("no GPU here: the NVIDIA driver supports CUDA 12.4")));
  runtime_.driver_version = 0;
  EXPECT_THAT(make, ThrowsMessage<Error>(HasSubstr("no GPU here: no NVIDIA driver")));
}

TEST_F(CudaDeviceTest, MachineNeedsADriverAndAGpu) {
  EXPECT_TRUE(machine_has_gpu());
  runtime_.device_count_status = cudaErrorNoDevice;
  EXPECT_FALSE(machine_has_gpu());
  runtime_.device_count_status = cudaErrorInsufficientDriver;
  EXPECT_TRUE(machine_has_gpu()) << "an old driver must be reported, not silently replaced by the CPU";
  runtime_.driver_version = 0;
  EXPECT_FALSE(machine_has_gpu());
}

TEST_F(CudaDeviceTest, RejectsUnusableGpu) {
  EXPECT_THAT(([] { CudnnDevice device(kNoOps, {.ordinal = 2}); }),
              ThrowsMessage<UsageError>(HasSubstr("has 2")));
  runtime_.sm = 75;
  EXPECT_THAT(([] { CudnnDevice device(kNoOps, {}); }),
              ThrowsMessage<Error>(HasSubstr("too old: it is sm_75")));
}

TEST_F(CudaDeviceTest, RejectsMalformedPinnedPlans) {
  EXPECT_THAT(([] { CudnnDevice device(kNoOps, {.pinned_plans = "nonsense"}); }),
              ThrowsMessage<Error>(HasSubstr("the plans of the run that is resumed")));
}

TEST_F(CudaDeviceTest, PlansOfAConvolutionAreTimedInOneSetOfBuffers) {
  CudnnDevice device(kNoOps, {.ordinal = 1});
  const auto prepare = make_plan_timer(device);
  ConvPlan plan, larger;
  plan.workspace_bytes = 1000;
  larger.workspace_bytes = 3000;
  Conv2dSpec spec{128, 8, 8, 64, 64, 3, 3, 1, 1};
  const int before = runtime_.allocations;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16})
    for (const ConvDirection direction : kConvDirections) {
      spec.dtype = dtype;
      const PlanTiming::Timer timer = prepare(spec, direction);
      cudnn().executions = 0;
      // The first result is kept where own kernels are compared with it.
      const int kept = dtype != DType::kF32 && direction != ConvDirection::kFilter ? 1 : 0;
      EXPECT_EQ(timer(plan, 1), 1) << "the fake clock's millisecond";
      EXPECT_EQ(cudnn().executions, kept + 2) << "one that loads the code, and one that is timed";
      const int made = runtime_.mallocs;
      EXPECT_EQ(timer(plan, 9), 1);
      EXPECT_EQ(cudnn().executions, kept + 12);
      EXPECT_EQ(runtime_.mallocs, made);
      timer(larger, 1);
      EXPECT_EQ(runtime_.mallocs, made + 1) << "a larger workspace, and nothing else";
      timer(plan, 1);
      EXPECT_EQ(runtime_.mallocs, made + 1);
    }
  EXPECT_EQ(runtime_.allocations, before) << "memory of a timer outlives it";
  cudnn().status = CUDNN_STATUS_EXECUTION_FAILED;
  EXPECT_THAT(([&] { prepare(spec, ConvDirection::kForward)(plan, 1); }),
              ThrowsMessage<Error>(HasSubstr("CUDNN_STATUS_EXECUTION_FAILED")));
  cudnn().status = CUDNN_STATUS_SUCCESS;
  const PlanTiming::Timer timer = prepare(spec, ConvDirection::kForward);
  plan.workspace_bytes = std::size_t{2} << 30;  // more than the fake GPU has
  EXPECT_THAT(([&] { timer(plan, 1); }), testing::Throws<Error>());
  static_cast<void>(cudaGetLastError());  // as the plan store does
  EXPECT_EQ(timer(larger, 1), 1) << "other plans can still be timed";
}

TEST_F(CudaDeviceTest, ReportsPlanThatCudnnCannotExecute) {
  fake::PlannedGpu planned;
  const auto conv = make_cuda_conv2d(planned, {.batch = 128,
                                               .height = 8,
                                               .width = 8,
                                               .channels = 64,
                                               .out_channels = 64,
                                               .filter_h = 3,
                                               .filter_w = 3,
                                               .padding = 1,
                                               .data_gradient = GradientMode::kAccumulate});
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  const DeviceMemory memory(device, 1 << 20, "a test");
  void* at = memory.data();
  const auto forward = [&] {
    const StreamRange range(*stream, "layer1.0.conv1");
    conv->forward(*stream, at, at, at, at);
  };
  EXPECT_NO_THROW(forward());
  cudnn().status = CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER;
  EXPECT_THAT(forward, ThrowsMessage<Error>(testing::AllOf(
                           HasSubstr("'conv2d forward' of layer1.0.conv1 failed"), HasSubstr("engine "),
                           HasSubstr("CUDNN_STATUS_EXECUTION_FAILED"), HasSubstr("`cudnn_autotune`"))));
  cudnn().status = CUDNN_STATUS_SUCCESS;
  EXPECT_NO_THROW(conv->backward_data(*stream, at, at, at, true, at));
  EXPECT_THAT([&] { conv->backward_data(*stream, at, at, at, false, at); },
              ThrowsMessage<Error>(HasSubstr("conv2d backward data was not planned for")));
}

TEST(CudnnVersionTest, RejectsVersionOlderThanTheBuild) {
  EXPECT_NO_THROW(check_cudnn_version(91900, 91900));
  EXPECT_NO_THROW(check_cudnn_version(100000, 91900));
  EXPECT_THAT([] { check_cudnn_version(90801, 91900); },
              ThrowsMessage<Error>(testing::AllOf(HasSubstr("cuDNN 9.8.1"), HasSubstr("older than 9.19.0"))));
}

TEST_F(CudaDeviceTest, MemoryIsFilledAndCounted) {
  CudnnDevice device(kNoOps, {});
  {
    const DeviceMemory memory(device, 1000, "a test");
    EXPECT_EQ(device.allocations(), 1);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(memory.get<unsigned char>()[i], 0xFF);
  }
  EXPECT_EQ(device.allocations(), 1);
}

TEST_F(CudaDeviceTest, OutOfMemoryReportsSizesAndIsRecoverable) {
  CudnnDevice device(kNoOps, {});
  EXPECT_THAT([&] { device.allocate(std::size_t{2} << 30, "saved activations"); },
              ThrowsMessage<Error>(testing::AllOf(HasSubstr("saved activations"), HasSubstr("2048.0 MiB"),
                                                  HasSubstr("of 1024.0 MiB"))));
  try {
    const DeviceMemory held(device, std::size_t{100} << 20, "a test");
    device.allocate(std::size_t{2} << 30, "saved activations");
    FAIL() << "2 GiB were allocated on a GPU with 1 GiB";
  } catch (const OutOfMemory& error) {
    EXPECT_EQ(error.available(), runtime_.memory_bytes) << "includes what this process has already";
  }
  const DeviceMemory memory(device, 1000, "a test");
  device.make_stream(StreamMode::kImmediate)->zero(memory.data(), 1000);  // no error is left behind
}

TEST_F(CudaStreamTest, LargeCopiesGoThroughStaging) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  constexpr std::size_t kCount = 11'000'003;  // 44 MB: more than both staging buffers, at an odd size
  std::vector<int> host(kCount), back(kCount), second(7);
  std::iota(host.begin(), host.end(), 1);
  const DeviceMemory memory(device, kCount * sizeof(int), "a test");
  const DeviceMemory copy(device, kCount * sizeof(int), "a test");
  stream->upload(memory.data(), host.data(), kCount * sizeof(int));
  const std::vector<int> original = host;
  std::fill(host.begin(), host.end(), 0);  // has no effect: the upload has already read the buffer
  stream->copy(copy.data(), memory.data(), kCount * sizeof(int));
  stream->download(back.data(), copy.data(), kCount * sizeof(int));
  stream->download(second.data(), copy.get<int>() + 5, second.size() * sizeof(int));
  stream->synchronize();
  EXPECT_EQ(back, original);
  EXPECT_EQ(second, (std::vector<int>{6, 7, 8, 9, 10, 11, 12}));
  stream->zero(copy.data(), 8);
  stream->download(second.data(), copy.data(), 12);
  stream->synchronize();
  EXPECT_EQ(second, (std::vector<int>{0, 0, 3, 9, 10, 11, 12}));
}

TEST_F(CudaStreamTest, ADownloadArrivesWithSynchronize) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  const DeviceMemory memory(device, 4, "a test");
  const int seven = 7;
  int result = 0;
  stream->upload(memory.data(), &seven, 4);
  stream->download(&result, memory.data(), 4);
  EXPECT_EQ(result, 0);
  stream->synchronize();
  EXPECT_EQ(result, 7);
}

TEST_F(CudaStreamTest, RecordsWithoutRunningAndReplays) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  int value = 0;
  const auto body = [&] {
    CudaCommand command(*stream, "increment");
    fake::enqueue(command.stream(), [&] { ++value; });
    command.finish();
  };
  const auto recording = stream->record([&] {
    body();
    body();
  });
  stream->synchronize();
  EXPECT_EQ(value, 0);
  EXPECT_EQ(recording->commands(), 2u);
  stream->replay(*recording);
  stream->replay(*recording);
  EXPECT_EQ(value, 0);  // runs only at the synchronisation
  stream->synchronize();
  EXPECT_EQ(value, 4);
}

TEST_F(CudaStreamTest, ABodyThatThrowsEndsTheCapture) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  EXPECT_THAT([&] { stream->record([] { throw Error("of the body"); }); },
              ThrowsMessage<Error>(HasSubstr("of the body")));
  const DeviceMemory memory(device, 8, "a test");
  stream->zero(memory.data(), 8);
  stream->synchronize();
  EXPECT_EQ(memory.get<int>()[0], 0);
}

TEST_F(CudaStreamTest, RejectsCallsThatCannotBeRecorded) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  const DeviceMemory memory(device, 8, "a test");
  int host = 0;
  const std::function<void()> bodies[] = {[&] { stream->upload(memory.data(), &host, 4); },
                                          [&] { stream->download(&host, memory.data(), 4); },
                                          [&] { stream->synchronize(); }, [&] { stream->record([] {}); }};
  for (const auto& body : bodies) EXPECT_THROW(stream->record(body), Error);
  EXPECT_EQ(runtime_.misuse, "");
  EXPECT_THROW(stream->record([&] { DeviceMemory(device, 8, "too late"); }), Error);
  EXPECT_EQ(runtime_.misuse, "cudaMalloc while capturing");
  runtime_.misuse.clear();
  EXPECT_EQ(stream->record([&] { stream->zero(memory.data(), 8); })->commands(), 1u);
}

TEST_F(CudaStreamTest, AnErrorNamesItsCommand) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  EXPECT_THAT(
      [&] {
        const StreamRange range(*stream, "fc");
        CudaCommand command(*stream, "softmax_kl");
        runtime_.launch_failure = cudaErrorInvalidConfiguration;
        command.finish();
      },
      ThrowsMessage<Error>(HasSubstr("'softmax_kl' of fc failed")));
}

TEST_F(CudaStreamTest, KernelsOverlapWhereTheGpuAndTheirCodeSupportIt) {
  struct Case {
    int sm, ptx_version;
    bool allowed, overlaps;
  };
  for (const Case& c : {Case{90, 90, true, true}, Case{120, 100, true, true}, Case{90, 90, false, false},
                        Case{89, 80, true, false}, Case{90, 80, true, false}}) {
    runtime_.sm = c.sm;
    runtime_.ptx_version = c.ptx_version;
    runtime_.launches = runtime_.dependent_launches = 0;
    CudnnDevice device(kNoOps, {.dependent_launches = c.allowed});
    const auto stream = device.make_stream(StreamMode::kImmediate);
    const auto launch = [&] {
      const int kernel = 0;
      CudaCommand(*stream, "a kernel").launch(&kernel, {1}, {32}, 0, nullptr);
    };
    launch();
    EXPECT_EQ(stream->record(launch)->commands(), 1u);
    EXPECT_EQ(runtime_.launches, 2);
    EXPECT_EQ(runtime_.dependent_launches, c.overlaps ? 2 : 0) << c.sm << " " << c.ptx_version;
  }
}

TEST_F(CudaStreamTest, AFailedLaunchNamesItsCommand) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  const int kernel = 0;
  EXPECT_THAT([&] { CudaCommand(*stream, "sgd").launch(&kernel, {1}, {32}, 64 << 10, nullptr); },
              ThrowsMessage<Error>(HasSubstr("'sgd' failed")));
}

// The sum with the kernel's own 1,024 bytes must fit. What was not allowed is a failed launch.
TEST_F(CudaStreamTest, KernelsMayHaveMoreSharedMemoryWhereItFits) {
  runtime_.shared_per_block = 99 << 10;
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  const int kernel = 0, other = 0;
  EXPECT_EQ(device.shared_memory_limit(&kernel), 48u << 10);
  EXPECT_TRUE(device.allow_shared_memory(&kernel, 48 << 10));
  EXPECT_TRUE(runtime_.shared_limits.empty()) << "this much needs no opt-in";
  EXPECT_FALSE(device.allow_shared_memory(&kernel, (98 << 10) + 1));
  EXPECT_TRUE(device.allow_shared_memory(&kernel, 98 << 10));
  EXPECT_TRUE(device.allow_shared_memory(&kernel, 64 << 10)) << "takes nothing away";
  EXPECT_EQ(device.shared_memory_limit(&kernel), 98u << 10);
  EXPECT_EQ(device.shared_memory_limit(&other), 48u << 10);
  EXPECT_EQ(runtime_.misuse, "");
  CudaCommand(*stream, "large").launch(&kernel, {1}, {32}, 98 << 10, nullptr);
  EXPECT_EQ(
      stream->record([&] { CudaCommand(*stream, "large").launch(&kernel, {1}, {32}, 98 << 10, nullptr); })
          ->commands(),
      1u);
  EXPECT_THROW(CudaCommand(*stream, "other").launch(&other, {1}, {32}, 64 << 10, nullptr), Error);
}

TEST_F(CudaStreamTest, ProfilersSeeARangeForEachLayerAndOp) {
  CudnnDevice device(kNoOps, {});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  runtime_.ranges.clear();
  {
    const StreamRange range(*stream, "layer1.0.conv1");
    CudaCommand command(*stream, "conv2d forward");
    command.finish();
  }
  EXPECT_EQ(runtime_.ranges, (std::vector<std::string>{"layer1.0.conv1", "conv2d forward", "", ""}));
}

TEST_F(CudaStreamTest, DebugSyncWaitsAfterEachCommandButNotInARecording) {
  CudnnDevice device(kNoOps, {.debug_sync = true});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  int value = 0;
  const auto body = [&] {
    CudaCommand command(*stream, "increment");
    fake::enqueue(command.stream(), [&] { ++value; });
    command.finish();
  };
  body();
  EXPECT_EQ(value, 1);
  const auto recording = stream->record(body);
  EXPECT_EQ(value, 1);
  stream->replay(*recording);
  EXPECT_EQ(value, 2);
}

// The current device of a new thread is 0.
TEST_F(CudaStreamTest, WorksFromAnotherThreadOnTheSecondGpu) {
  CudnnDevice device(kNoOps, {.ordinal = 1});
  const auto stream = device.make_stream(StreamMode::kImmediate);
  const DeviceMemory memory(device, 8, "a test");
  int seven = 7, result = 0;
  std::thread([&] {
    stream->upload(memory.data(), &seven, 4);
    const auto recording = stream->record([&] { stream->copy(memory.get<int>() + 1, memory.data(), 4); });
    stream->replay(*recording);
    stream->download(&result, memory.get<int>() + 1, 4);
    stream->synchronize();
  }).join();
  EXPECT_EQ(result, 7);
}

}  // namespace
}  // namespace tdds
