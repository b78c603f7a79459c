#include "bench/peaks.h"

#include <algorithm>
#include <cmath>

#include "bench/sampling.h"
#include "kernels/ops/conv2d.h"

namespace tdds {
namespace {

constexpr SamplingLimits kLimits{.noise = 0.01, .seconds = 0.5};

double copy_rate(Device& device, Stream& stream) {
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  const DeviceMemory from(device, kBytes, "the copied buffer"), to(device, kBytes, "the copy");
  const Timing timing = timing_of(sample(
      stream, {}, [&] { stream.copy(to.data(), from.data(), kBytes); }, kLimits));
  return 2.0 * kBytes / timing.least;
}

// The fastest matrix product: a 1x1 convolution over 8192 pixels with 4096 channels.
double product_rate(Device& device, Stream& stream, DType dtype, Conv2dMath math) {
  constexpr std::int32_t kPixels = 8192, kChannels = 4096;
  const auto plan = make_conv2d(device, {.batch = 1,
                                         .height = 64,
                                         .width = kPixels / 64,
                                         .channels = kChannels,
                                         .out_channels = kChannels,
                                         .filter_h = 1,
                                         .filter_w = 1,
                                         .dtype = dtype,
                                         .backward = false,
                                         .math = math});
  const std::size_t map = std::size_t{kPixels} * kChannels * element_size(dtype),
                    filter = std::size_t{kChannels} * kChannels * element_size(dtype);
  const DeviceMemory x(device, map, "a product"), y(device, map, "a product"), w(device, filter, "a product"),
      workspace(device, std::max<std::size_t>(plan->workspace_bytes(), 1), "a product");
  stream.zero(x.data(), map);
  stream.zero(w.data(), filter);
  const Timing timing = timing_of(sample(
      stream, {}, [&] { plan->forward(stream, x.data(), w.data(), y.data(), workspace.data()); }, kLimits));
  return 2.0 * kPixels * kChannels * kChannels / timing.least;
}

}  // namespace

Peaks::Peaks(Device& device, Stream& stream) : device_(device) {
  if (device.kind() == DeviceKind::kSimt) return;
  copy_ = copy_rate(device, stream);
  peak_ = device.peak(0);
  if (device.kind() != DeviceKind::kCuda) return;
  peak_.tf32 = product_rate(device, stream, DType::kF32, Conv2dMath::kTf32);
  peak_.half = product_rate(device, stream, DType::kF16, Conv2dMath::kExact);
}

double Peaks::floor(const OpWork& work, PrecisionKind precision, bool cold) {
  if (device_.kind() == DeviceKind::kSimt) return 0;
  double bytes_per_second = copy_;
  if (!cold && device_.kind() == DeviceKind::kCpu) {
    const int size = static_cast<int>(std::ceil(std::log2(std::max(work.bytes, 4096.0))));
    const auto [known, is_new] = cached_.try_emplace(size);
    if (is_new) known->second = device_.peak(std::size_t{1} << size).bytes;
    bytes_per_second = std::max(copy_, known->second);
  }
  const double rate = precision == PrecisionKind::kFp32   ? peak_.fp32
                      : precision == PrecisionKind::kTf32 ? peak_.tf32
                                                          : peak_.half;
  if (rate <= 0) return 0;
  const double arithmetic = work.conv_flops > 0 ? work.conv_flops / rate : 0;
  return std::max(work.bytes / bytes_per_second, arithmetic + work.fp32_flops / peak_.fp32);
}

std::vector<std::pair<std::string, double>> Peaks::rates() const {
  return {{"peak_copy_GB/s", copy_},
          {"peak_fp32_GFLOP/s", peak_.fp32},
          {"peak_tf32_GFLOP/s", peak_.tf32},
          {"peak_half_GFLOP/s", peak_.half}};
}

}  // namespace tdds
