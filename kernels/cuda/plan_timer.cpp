#include "kernels/cuda/plan_timer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/half_convert.h"
#include "kernels/philox.h"

namespace tdds {
namespace {

constexpr int kWarmups = 2, kRuns = 9;

template <class T>
GpuMemory random_numbers(std::size_t count, cudaStream_t stream) {
  constexpr std::size_t kDrawn = std::size_t{1} << 16;
  std::vector<T> numbers(std::clamp<std::size_t>(count, 1, kDrawn));
  // Zeros would toggle no wires, and a GPU that draws less power keeps a higher clock.
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = from_float<T>(static_cast<float>(2 * unit(philox(0, Purpose::kTest, 0, i).w[0]) - 1));
  GpuMemory memory;
  CHECK_CUDA(cudaMalloc(out(memory), std::max(count, numbers.size()) * sizeof(T)));
  for (std::size_t at = 0; at < count; at += numbers.size())
    CHECK_CUDA(cudaMemcpyAsync(static_cast<T*>(memory.get()) + at, numbers.data(),
                               std::min(numbers.size(), count - at) * sizeof(T), cudaMemcpyHostToDevice,
                               stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));  // `numbers` ends here
  return memory;
}

GpuMemory random_tensor(DType dtype, std::int64_t elements, cudaStream_t stream) {
  const auto count = static_cast<std::size_t>(elements);
  if (dtype == DType::kF16) return random_numbers<half_t>(count, stream);
  if (dtype == DType::kBf16) return random_numbers<bf16_t>(count, stream);
  return random_numbers<float>(count, stream);
}

GpuMemory bytes_of(std::size_t bytes) {
  GpuMemory memory;
  CHECK_CUDA(cudaMalloc(out(memory), std::max<std::size_t>(bytes, 1)));
  return memory;
}

// The tensors of one convolution, and the state in which a step leaves the caches before it.
class Surroundings {
 public:
  Surroundings(const Conv2dSpec& spec, ConvDirection direction, std::size_t workspace_bytes,
               cudaStream_t stream)
      : stream_(stream) {
    const std::int64_t in = std::int64_t{spec.batch} * spec.height * spec.width * spec.channels;
    const std::int64_t of =
        std::int64_t{spec.batch} * spec.out_height() * spec.out_width() * spec.out_channels;
    x_ = random_tensor(spec.dtype, in, stream);
    y_ = random_tensor(spec.dtype, of, stream);
    w_ = random_tensor(
        spec.dtype, std::int64_t{spec.out_channels} * spec.filter_h * spec.filter_w * spec.channels, stream);
    workspace_ = bytes_of(workspace_bytes);
    const bool forward = direction == ConvDirection::kForward;
    written_last_ = forward ? x_.get() : y_.get();
    written_bytes_ = static_cast<std::size_t>(forward ? in : of) * size_of(spec.dtype);
    written_from_ = random_tensor(spec.dtype, forward ? in : of, stream);
    int ordinal = 0, cache_bytes = 0;
    CHECK_CUDA(cudaGetDevice(&ordinal));
    CHECK_CUDA(cudaDeviceGetAttribute(&cache_bytes, cudaDevAttrL2CacheSize, ordinal));
    flush_bytes_ = 2 * static_cast<std::size_t>(cache_bytes);
    flush_ = bytes_of(flush_bytes_);
  }

  CudnnDescriptor bind() const { return bind_tensors(x_.get(), w_.get(), y_.get(), workspace_.get()); }

  void restore() {
    CHECK_CUDA(cudaMemsetAsync(flush_.get(), 0, flush_bytes_, stream_));
    CHECK_CUDA(cudaMemcpyAsync(written_last_, written_from_.get(), written_bytes_, cudaMemcpyDeviceToDevice,
                               stream_));
  }

 private:
  cudaStream_t stream_;
  GpuMemory x_, w_, y_, workspace_, written_from_, flush_;
  void* written_last_;
  std::size_t written_bytes_, flush_bytes_;
};

}  // namespace

PlanTimer make_plan_timer(CudaDevice& device) {
  return [&device](const Conv2dSpec& spec, ConvDirection direction, const ConvPlan& plan) {
    device.make_current();
    CudaStream& stream = device.setup_stream();
    Surroundings surroundings(spec, direction, plan.workspace_bytes, stream.get());
    const CudnnDescriptor pack = surroundings.bind();
    CudaEvent begin, end;
    CHECK_CUDA(cudaEventCreate(out(begin)));
    CHECK_CUDA(cudaEventCreate(out(end)));
    std::array<float, kRuns> milliseconds{};
    for (int run = -kWarmups; run < kRuns; ++run) {
      surroundings.restore();
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
