#include "kernels/cuda/cudnn/plan_timer.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/device.h"
#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/philox.h"

namespace tdds {
namespace {

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
  StepConditions(const Conv2dSpec& spec, ConvDirection direction, CudaStream& stream) : stream_(stream) {
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
    flush_ = bytes_of(flush_bytes_);
    x_ = bytes_of(x * element);
    y_ = bytes_of(y * element);
    w_ = bytes_of(w * element);
    written_from_ = bytes_of(written_bytes_);
    written_last_ = forward ? x_.get() : y_.get();
    CHECK_CUDA(cudaEventCreate(out(begin_)));
    CHECK_CUDA(cudaEventCreate(out(end_)));

    fill(stream, spec.dtype, x_.get(), x);
    fill(stream, spec.dtype, y_.get(), y);
    fill(stream, spec.dtype, w_.get(), w);
    fill(stream, spec.dtype, written_from_.get(), forward ? x : y);
  }

  // The memory must outlive the commands that use it.
  ~StepConditions() { static_cast<void>(cudaStreamSynchronize(stream_.get())); }
  StepConditions(const StepConditions&) = delete;
  StepConditions& operator=(const StepConditions&) = delete;

  // Of one execution, in milliseconds.
  double time(const ConvPlan& plan, const CudnnDescriptor& pack) {
    restore();
    CHECK_CUDA(cudaEventRecord(begin_.get(), stream_.get()));
    CHECK_CUDA(cudnnBackendExecute(stream_.cudnn(), plan.descriptor.get(), pack.get()));
    CHECK_CUDA(cudaEventRecord(end_.get(), stream_.get()));
    CHECK_CUDA(cudaEventSynchronize(end_.get()));
    float milliseconds = 0;
    CHECK_CUDA(cudaEventElapsedTime(&milliseconds, begin_.get(), end_.get()));
    return milliseconds;
  }

  CudnnDescriptor bind(const ConvPlan& plan) {
    if (plan.workspace_bytes > workspace_bytes_ || !workspace_) {
      CHECK_CUDA(cudaStreamSynchronize(stream_.get()));  // an execution that failed may still be running
      workspace_.reset();
      workspace_bytes_ = 0;
      workspace_ = bytes_of(plan.workspace_bytes);
      workspace_bytes_ = plan.workspace_bytes;
    }
    return bind_tensors(x_.get(), w_.get(), y_.get(), workspace_.get());
  }

 private:
  void restore() {
    stream_.zero(flush_.get(), flush_bytes_);
    stream_.copy(written_last_, written_from_.get(), written_bytes_);
  }

  CudaStream& stream_;
  GpuMemory x_, w_, y_, workspace_, written_from_, flush_;
  void* written_last_ = nullptr;
  std::size_t written_bytes_ = 0, flush_bytes_ = 0, workspace_bytes_ = 0;
  CudaEvent begin_, end_;
};

}  // namespace

std::function<PlanTiming::Timer(const Conv2dSpec&, ConvDirection)> make_plan_timer(CudaDevice& device) {
  return [&device](const Conv2dSpec& spec, ConvDirection direction) -> PlanTiming::Timer {
    device.make_current();
    const auto conditions = std::make_shared<StepConditions>(spec, direction, device.setup_stream());
    return [conditions](const ConvPlan& plan, int runs) {
      const CudnnDescriptor pack = conditions->bind(plan);
      conditions->time(plan, pack);  // loads the kernel's code
      std::vector<double> milliseconds(static_cast<std::size_t>(runs));
      for (double& one : milliseconds) one = conditions->time(plan, pack);
      const auto middle = milliseconds.begin() + runs / 2;
      std::nth_element(milliseconds.begin(), middle, milliseconds.end());
      return *middle;
    };
  };
}

}  // namespace tdds
