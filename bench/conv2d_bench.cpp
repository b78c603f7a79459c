// Convolutions of ResNet-18 for 32x32 images, batch 100, each direction, direct and Winograd.
//
//   bench_kernels --benchmark_filter='width:100/.*/winograd'
//
// GFLOP/s counts the multiply-adds of the definition, so Winograd may exceed the peak; "of_peak" is that over
// the peak of fused multiply-adds, measured here on as many threads.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <chrono>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/vectorize.h"
#include "kernels/device.h"
#include "kernels/ops.h"

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

// kSums vectors of kWidth floats, multiplied and added to independently: enough to hide an addition's
// latency.
template <int kWidth, int kSums>
struct MultiplyAdd {
  [[gnu::always_inline]] static inline void run(std::int64_t steps, float* result) {
    using Vec [[gnu::vector_size(kWidth * sizeof(float))]] = float;
    Vec sums[kSums] = {}, factor = {}, term = {};
    for (int i = 0; i < kSums; ++i) sums[i] += static_cast<float>(i);
    factor += 0.999F;
    term += 0.001F;
    for (std::int64_t step = 0; step < steps; ++step)
#pragma GCC unroll 12
      for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + term;
    for (int i = 0; i < kSums; ++i) *result += sums[i][0];
  }
};

template <int kWidth>
double measure_peak() {
  constexpr std::int64_t kSteps = 30'000'000;
  constexpr int kSums = 12;
  const auto start = std::chrono::steady_clock::now();
#pragma omp parallel
  {
    float result = 0;
    cpu::run_vectorized<MultiplyAdd<kWidth, kSums>>(kSteps, &result);
    benchmark::DoNotOptimize(result);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return 2.0 * kWidth * kSums * kSteps * omp_get_max_threads() / seconds.count();
}

// FLOP/s of all threads.
double peak() {
  static const double flops = cpu::isa() == cpu::Isa::kAvx512 ? measure_peak<16>()
                              : cpu::isa() == cpu::Isa::kAvx2 ? measure_peak<8>()
                                                              : measure_peak<4>();
  return flops;
}

enum class Direction { kForward, kData, kFilter };

void run(benchmark::State& state, const Conv2dSpec& spec, Direction direction) {
  const auto device = make_device(DeviceKind::kCpu);
  const auto stream = device->make_stream();
  const auto plan = device->ops().make_conv2d(*device, spec);
  const std::size_t x_elements = std::size_t{1} * spec.batch * spec.height * spec.width * spec.channels;
  const std::size_t w_elements =
      std::size_t{1} * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels;
  const std::size_t y_elements =
      std::size_t{1} * spec.batch * spec.out_height() * spec.out_width() * spec.out_channels;
  const auto filled = [&](std::size_t elements) {
    std::vector<float> values(elements);
    for (std::size_t i = 0; i < elements; ++i) values[i] = static_cast<float>(i * 7919 % 1000) / 500 - 1;
    DeviceMemory memory(*device, elements * sizeof(float), "a tensor of a benchmark");
    stream->upload(memory.data(), values.data(), memory.bytes());
    return memory;
  };
  const DeviceMemory x = filled(x_elements), w = filled(w_elements), y = filled(y_elements);
  const DeviceMemory workspace(*device, plan->workspace_bytes(), "a workspace");
  for (auto _ : state) {
    if (direction == Direction::kForward)
      plan->forward(*stream, x.data(), w.data(), y.data(), workspace.data());
    else if (direction == Direction::kData)
      plan->backward_data(*stream, y.data(), w.data(), x.data(), false, workspace.data());
    else
      plan->backward_filter(*stream, x.data(), y.data(), w.data(), workspace.data());
  }
  const double flops = 2.0 * static_cast<double>(y_elements) * spec.filter_h * spec.filter_w * spec.channels;
  const auto rate = [&](double scale) {
    return benchmark::Counter(flops * scale, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GFLOP/s"] = rate(1e-9);
  state.counters["of_peak"] = rate(1 / peak());
  state.counters["workspace_MiB"] = static_cast<double>(plan->workspace_bytes()) / (1 << 20);
  state.SetLabel(plan->description());
}

bool register_all() {
  const std::pair<Direction, const char*> directions[] = {
      {Direction::kForward, "forward"}, {Direction::kData, "data"}, {Direction::kFilter, "filter"}};
  for (const int width : {100, 25})
    for (const Layer& layer : kLayers)
      for (const auto& [direction, word] : directions)
        for (const ConvAlgo algo : {ConvAlgo::kDirect, ConvAlgo::kWinograd}) {
          const bool winograd_applies = layer.filter == 3 && layer.stride == 1;
          if (algo == ConvAlgo::kWinograd && !winograd_applies) continue;
          const std::string name = fmt::format("width:{}/{}/{}/{}", width, layer.name, word, name_of(algo));
          const Conv2dSpec spec = spec_of(layer, width, algo);
          benchmark::RegisterBenchmark(
              name.c_str(),
              [spec, direction = direction](benchmark::State& state) { run(state, spec, direction); })
              ->Unit(benchmark::kMillisecond)
              ->UseRealTime();
        }
  return true;
}
const bool registered = register_all();

}  // namespace
}  // namespace tdds
