#include "kernels/cuda/cudnn/plan_timer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/device.h"
#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/philox.h"

namespace tdds {
namespace {

constexpr int kWarmups = 2, kRuns = 9;

GpuMemory bytes_of(std::size_t bytes) {
  GpuMemory memory;
  CHECK_CUDA(cudaMalloc(out(memory), std::max<std::size_t>(bytes, 1)));
  return memory;
}

// Fills with a repeated block of random numbers. Zeros would take less power, and the GPU would run at a
// higher clock than in training.
template <class T>
void fill(CudaStream& stream, void* memory, std::size_t count) {
  constexpr std::size_t kDrawn = std::size_t{1} << 16;
  std::vector<T> drawn(std::min(count, kDrawn));
  for (std::size_t i = 0; i < drawn.size(); ++i)
    drawn[i] = from_float<T>(static_cast<float>(2 * unit(philox(0, Purpose::kTest, 0, i).w[0]) - 1));
  stream.upload(memory, drawn.data(), drawn.size() * sizeof(T));
  for (std::size_t at = drawn.size(); at < count; at += drawn.size())
    stream.copy(static_cast<T*>(memory) + at, memory, std::min(drawn.size(), count - at) * sizeof(T));
}

void fill(CudaStream& stream, DType dtype, void* memory, std::size_t count) {
  if (dtype == DType::kF16) return fill<half_t>(stream, memory, count);
  if (dtype == DType::kBf16) return fill<bf16_t>(stream, memory, count);
  fill<float>(stream, memory, count);
}

// The tensors of one convolution, and the state of the caches in which a training step runs it.
class StepConditions {
 public:
  StepConditions(const Conv2dSpec& spec, ConvDirection direction, std::size_t workspace_bytes,
                 CudaStream& stream)
      : stream_(stream) {
    const std::size_t batch = spec.batch, element = element_size(spec.dtype);
    const std::size_t x = batch * spec.height * spec.width * spec.channels;
    const std::size_t y = batch * spec.out_height() * spec.out_width() * spec.out_channels;
    const std::size_t w = std::size_t{1} * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels;
    const bool forward = direction == ConvDirection::kForward;
    int cache_bytes = 0;
    CHECK_CUDA(
        cudaDeviceGetAttribute(&cache_bytes, cudaDevAttrL2CacheSize, stream.cuda_device().options().ordinal));
    flush_bytes_ = 2 * static_cast<std::size_t>(cache_bytes);
    written_bytes_ = (forward ? x : y) * element;

    // All allocations precede the first command, so nothing is running when one of them fails.
    workspace_ = bytes_of(workspace_bytes);
    flush_ = bytes_of(flush_bytes_);
    x_ = bytes_of(x * element);
    y_ = bytes_of(y * element);
    w_ = bytes_of(w * element);
    written_from_ = bytes_of(written_bytes_);
    written_last_ = forward ? x_.get() : y_.get();

    fill(stream, spec.dtype, x_.get(), x);
    fill(stream, spec.dtype, y_.get(), y);
    fill(stream, spec.dtype, w_.get(), w);
    fill(stream, spec.dtype, written_from_.get(), forward ? x : y);
  }

  // The memory must outlive the commands that use it.
  ~StepConditions() { static_cast<void>(cudaStreamSynchronize(stream_.get())); }
  StepConditions(const StepConditions&) = delete;
  StepConditions& operator=(const StepConditions&) = delete;

  CudnnDescriptor bind() const { return bind_tensors(x_.get(), w_.get(), y_.get(), workspace_.get()); }

  void restore() {
    stream_.zero(flush_.get(), flush_bytes_);
    stream_.copy(written_last_, written_from_.get(), written_bytes_);
  }

 private:
  CudaStream& stream_;
  GpuMemory x_, w_, y_, workspace_, written_from_, flush_;
  void* written_last_ = nullptr;
  std::size_t written_bytes_ = 0, flush_bytes_ = 0;
};

}  // namespace

PlanTimer make_plan_timer(CudaDevice& device) {
  return [&device](const Conv2dSpec& spec, ConvDirection direction, const ConvPlan& plan) {
    device.make_current();
    CudaStream& stream = device.setup_stream();
    StepConditions conditions(spec, direction, plan.workspace_bytes, stream);
    const CudnnDescriptor pack = conditions.bind();
    CudaEvent begin, end;
    CHECK_CUDA(cudaEventCreate(out(begin)));
    CHECK_CUDA(cudaEventCreate(out(end)));
    std::array<float, kRuns> milliseconds{};
    for (int run = -kWarmups; run < kRuns; ++run) {
      conditions.restore();
      CHECK_CUDA(cudaEventRecord(begin.get(), stream.get()));
      CHECK_CUDA(cudnnBackendExecute(stream.cudnn(), plan.descriptor.get(), pack.get()));
      CHECK_CUDA(cudaEventRecord(end.get(), stream.get()));
      CHECK_CUDA(cudaEventSynchronize(end.get()));
      if (run >= 0) CHECK_CUDA(cudaEventElapsedTime(&milliseconds[run], begin.get(), end.get()));
    }
    std::nth_element(milliseconds.begin(), milliseconds.begin() + kRuns / 2, milliseconds.end());
    return static_cast<double>(milliseconds[kRuns / 2]);
  };
}

}  // namespace tdds
