// Convolutions of ResNet-18 for 32x32 images, batch 100, in each direction: direct and Winograd on the CPU,
// and every precision on the GPU if there is one.
//
//   bench_kernels --benchmark_filter='width:100/.*/winograd'
//   bench_kernels --benchmark_filter='width:100/.*/cuda_fp16'
//
// GFLOP/s counts the multiply-adds of the definition, so Winograd may exceed the peak; "of_peak" is the ratio
// to Device::peak().

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/on_device.h"
#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/mib.h"
#include "kernels/ops/conv2d.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {
namespace {

constexpr std::int32_t kBatch = 100;

struct Layer {
  const char* name;
  std::int32_t size, channels, out_channels, filter, stride;
};
constexpr Layer kLayers[] = {
    {"stem", 32, 3, 64, 3, 1},      {"layer1", 32, 64, 64, 3, 1},        {"layer2_first", 32, 64, 128, 3, 2},
    {"layer2", 16, 128, 128, 3, 1}, {"layer2_skip", 32, 64, 128, 1, 2},  {"layer3_first", 16, 128, 256, 3, 2},
    {"layer3", 8, 256, 256, 3, 1},  {"layer3_skip", 16, 128, 256, 1, 2}, {"layer4_first", 8, 256, 512, 3, 2},
    {"layer4", 4, 512, 512, 3, 1},  {"layer4_skip", 8, 256, 512, 1, 2}};

Conv2dSpec spec_of(const Layer& layer, int width_percent, ConvAlgo algo) {
  const auto scaled = [&](std::int32_t channels) {
    return channels == 3 ? 3 : channels * width_percent / 100;
  };
  Conv2dSpec spec{
      kBatch,       layer.size,   layer.size,   scaled(layer.channels), scaled(layer.out_channels),
      layer.filter, layer.filter, layer.stride, layer.filter / 2};
  spec.algo = algo;
  return spec;
}

enum class Direction { kForward, kData, kFilter };

double peak_of(Device& device, const Conv2dSpec& spec) {
  static std::map<DeviceKind, DevicePeak> peaks;
  const auto [at, is_new] = peaks.try_emplace(device.kind());
  if (is_new) at->second = device.peak();
  const DevicePeak& peak = at->second;
  if (spec.dtype != DType::kF32) return peak.half;
  return spec.math == Conv2dMath::kTf32 ? peak.tf32 : peak.fp32;
}

void run(benchmark::State& state, Bench& bench, const Conv2dSpec& spec, Direction direction) {
  const auto plan = make_conv2d(bench.device(), spec);
  const std::int64_t x_elements = std::int64_t{1} * spec.batch * spec.height * spec.width * spec.channels;
  const std::int64_t w_elements =
      std::int64_t{1} * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels;
  const std::int64_t y_elements =
      std::int64_t{1} * spec.batch * spec.out_height() * spec.out_width() * spec.out_channels;
  const auto filled = [&](std::int64_t elements) -> void* {
    const auto at = [](std::int64_t i) { return static_cast<float>(i * 7919 % 1000) / 500 - 1; };
    const auto fill = [&](auto zero) -> void* {
      std::vector<decltype(zero)> values(static_cast<std::size_t>(elements));
      for (std::int64_t i = 0; i < elements; ++i)
        values[static_cast<std::size_t>(i)] = from_float<decltype(zero)>(at(i));
      return bench.values(values);
    };
    if (spec.dtype == DType::kF16) return fill(half_t{});
    if (spec.dtype == DType::kBf16) return fill(bf16_t{});
    return fill(float{});
  };
  void *x = filled(x_elements), *w = filled(w_elements), *y = filled(y_elements);
  void* workspace = bench.bytes(static_cast<std::int64_t>(plan->workspace_bytes()));
  measure_runs(state, bench, [&] {
    if (direction == Direction::kForward)
      plan->forward(bench.stream(), x, w, y, workspace);
    else if (direction == Direction::kData)
      plan->backward_data(bench.stream(), y, w, x, false, workspace);
    else
      plan->backward_filter(bench.stream(), x, y, w, workspace);
  });
  const double flops = 2.0 * static_cast<double>(y_elements) * spec.filter_h * spec.filter_w * spec.channels;
  const auto rate = [&](double scale) {
    return benchmark::Counter(flops * scale, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GFLOP/s"] = rate(1e-9);
  if (const double peak = peak_of(bench.device(), spec); peak > 0) state.counters["of_peak"] = rate(1 / peak);
  state.counters["workspace_MiB"] = mib(plan->workspace_bytes());
  state.SetLabel(plan->description());
}

constexpr std::pair<Direction, const char*> kDirections[] = {
    {Direction::kForward, "forward"}, {Direction::kData, "data"}, {Direction::kFilter, "filter"}};

void add(DeviceKind kind, const std::string& name, const Conv2dSpec& spec, Direction direction) {
  register_on(kind, name, [spec, direction](benchmark::State& state, Bench& bench) {
    run(state, bench, spec, direction);
  })->Unit(benchmark::kMillisecond);
}

void register_cpu() {
  for (const int width : {100, 25})
    for (const Layer& layer : kLayers)
      for (const auto& [direction, word] : kDirections)
        for (const ConvAlgo algo : {ConvAlgo::kDirect, ConvAlgo::kWinograd}) {
          const bool winograd_applies = layer.filter == 3 && layer.stride == 1;
          if (algo == ConvAlgo::kWinograd && !winograd_applies) continue;
          add(DeviceKind::kCpu, fmt::format("width:{}/{}/{}/{}", width, layer.name, word, to_string(algo)),
              spec_of(layer, width, algo), direction);
        }
}

void register_cuda() {
  struct Precision {
    const char* name;
    DType dtype;
    Conv2dMath math;
  };
  constexpr Precision kPrecisions[] = {{"fp32", DType::kF32, Conv2dMath::kExact},
                                       {"tf32", DType::kF32, Conv2dMath::kTf32},
                                       {"fp16", DType::kF16, Conv2dMath::kExact},
                                       {"bf16", DType::kBf16, Conv2dMath::kExact}};
  for (const Layer& layer : kLayers)
    for (const auto& [direction, word] : kDirections)
      for (const Precision& precision : kPrecisions) {
        Conv2dSpec spec = spec_of(layer, 100, ConvAlgo::kAuto);
        const bool stem = spec.channels == 3;
        if (stem && direction == Direction::kData) continue;  // the gradient of the images is not used
        if (stem) spec.channels = 8;                          // images on a GPU are padded to 8 channels
        spec.dtype = precision.dtype;
        spec.math = precision.math;
        spec.data_gradient = stem ? GradientMode::kSkip : GradientMode::kOverwrite;
        add(DeviceKind::kCuda, fmt::format("width:100/{}/{}/cuda_{}", layer.name, word, precision.name), spec,
            direction);
      }
}

bool register_all() {
  for (const DeviceKind kind : devices_to_measure())
    kind == DeviceKind::kCuda ? register_cuda() : register_cpu();
  return true;
}
const bool registered = register_all();

}  // namespace
}  // namespace tdds
