#include "kernels/cuda/cudnn/plan_timer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/cudnn/own_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

GpuMemory bytes_of(std::size_t bytes) {
  GpuMemory memory;
  CHECK_CUDA(cudaMalloc(out(memory), std::max<std::size_t>(bytes, 1)));
  return memory;
}

// Fills with a repeated block of random numbers. Zeros would take less power, and the GPU would run at a
// higher clock than in training. The block's length is a prime number, so that no two images, pixels or
// filters are equal: a kernel that reads the wrong one is then wrong.
template <class T>
void fill(CudaStream& stream, void* memory, std::size_t count) {
  constexpr std::size_t kDrawn = 65521;
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

// The 16-bit values as floats. Own kernels have no other type.
std::vector<float> widened(DType dtype, const std::vector<std::uint16_t>& bits) {
  std::vector<float> values(bits.size());
  std::transform(bits.begin(), bits.end(), values.begin(), [dtype](std::uint16_t one) {
    return dtype == DType::kF16 ? to_float(half_t{one}) : to_float(bf16_t{one});
  });
  return values;
}

// norm(values - reference) / norm(reference); NaN or infinity where a value is not finite.
double relative_error(const std::vector<float>& values, const std::vector<float>& reference) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double off = double{values[i]} - reference[i];
    difference += off * off;
    norm += double{reference[i]} * reference[i];
  }
  return std::sqrt(difference / norm);
}

// Two results that are both right differ by their roundings to 16 bits, which are at most half of this each,
// and by the order of their sums in fp32, which is far less. A wrong tap or row differs by a tenth or more.
double most_error(DType dtype) {
  return dtype == DType::kF16 ? 0x1p-10 : 0x1p-7;
}

// The tensors of one convolution, and the state of the caches in which a training step runs it.
class StepConditions {
 public:
  StepConditions(const Conv2dSpec& spec, ConvDirection direction, CudaStream& stream)
      : stream_(stream),
        spec_(spec),
        direction_(direction),
        has_own_kernels_(own_kernels_support(spec, direction)) {
    const std::size_t batch = spec.batch, element = element_size(spec.dtype);
    const std::size_t x = batch * spec.height * spec.width * spec.channels;
    const std::size_t y = batch * spec.out_height() * spec.out_width() * spec.out_channels;
    const std::size_t w = std::size_t{1} * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels;
    x_count_ = x;
    y_count_ = y;
    w_count_ = w;
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

  // Throws Error where the result of an own kernel is not that of cuDNN's plan that ran before. A result that
  // is not written is seen, since the memory is NaN before.
  void check_result(const ConvPlan& plan, const CudnnDescriptor& pack) {
    if (!plan.tile) {
      if (has_own_kernels_ && reference_.empty()) reference_ = result_of(plan, pack);
      return;
    }
    check(!reference_.empty(), "no plan of cuDNN's ran, with whose result its own can be compared");
    const double error = relative_error(result_of(plan, pack), reference_);
    check(std::isfinite(error), "its result is not finite, or not written everywhere; please report this");
    check(error <= most_error(spec_.dtype),
          "its result differs from cuDNN's by {:.2g} of its norm, and {:.2g} are allowed; please report this",
          error, most_error(spec_.dtype));
  }

  // Of one execution, in milliseconds.
  double time(const ConvPlan& plan, const CudnnDescriptor& pack) {
    restore();
    CHECK_CUDA(cudaEventRecord(begin_.get(), stream_.get()));
    execute(plan, pack);
    CHECK_CUDA(cudaEventRecord(end_.get(), stream_.get()));
    CHECK_CUDA(cudaEventSynchronize(end_.get()));
    float milliseconds = 0;
    CHECK_CUDA(cudaEventElapsedTime(&milliseconds, begin_.get(), end_.get()));
    return milliseconds;
  }

  CudnnDescriptor bind(const ConvPlan& plan) {
    if (plan.tile) return {};
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
  void execute(const ConvPlan& plan, const CudnnDescriptor& pack) {
    if (plan.tile) return run_own(stream_, *plan.tile, spec_, direction_, x_.get(), w_.get(), y_.get());
    CHECK_CUDA(cudnnBackendExecute(stream_.cudnn(), plan.descriptor.get(), pack.get()));
  }

  std::vector<float> result_of(const ConvPlan& plan, const CudnnDescriptor& pack) {
    const bool forward = direction_ == ConvDirection::kForward, filter = direction_ == ConvDirection::kFilter;
    void* const result = forward ? y_.get() : filter ? w_.get() : x_.get();
    const std::size_t count = forward ? y_count_ : filter ? w_count_ : x_count_;
    if (direction_ == ConvDirection::kDataAccumulate)
      fill(stream_, spec_.dtype, result, count);
    else
      CHECK_CUDA(cudaMemsetAsync(result, 0xFF, count * sizeof(std::uint16_t), stream_.get()));
    execute(plan, pack);
    std::vector<std::uint16_t> bits(count);
    stream_.download(bits.data(), result, count * sizeof(std::uint16_t));
    stream_.synchronize();
    fill(stream_, spec_.dtype, result, count);
    return widened(spec_.dtype, bits);
  }

  void restore() {
    stream_.zero(flush_.get(), flush_bytes_);
    stream_.copy(written_last_, written_from_.get(), written_bytes_);
  }

  CudaStream& stream_;
  Conv2dSpec spec_;
  ConvDirection direction_;
  std::size_t x_count_ = 0, y_count_ = 0, w_count_ = 0;
  bool has_own_kernels_;          // whose results are compared
  std::vector<float> reference_;  // the result of cuDNN's first plan that ran
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
      conditions->check_result(plan, pack);
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
