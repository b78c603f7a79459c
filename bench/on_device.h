#pragma once
// Runs ops of any device under Google Benchmark: allocates and fills memory, and times one run.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/numerics/philox.h"
#include "kernels/runtime/device.h"

namespace tdds {

// The CPU, and the GPU if this build has CUDA and the machine has a GPU.
inline std::vector<DeviceKind> devices_to_measure() {
  if (best_device() == DeviceKind::kCuda) return {DeviceKind::kCpu, DeviceKind::kCuda};
  return {DeviceKind::kCpu};
}

// Never destroyed: creating a GPU's handles takes longer than most measurements, and at exit they might be
// freed after the driver has shut down.
inline Device& shared_device(DeviceKind kind) {
  static Device* devices[3] = {};
  Device*& device = devices[static_cast<int>(kind)];
  if (!device) device = make_device(kind).release();
  return *device;
}

class Bench {
 public:
  explicit Bench(DeviceKind kind) : device_(shared_device(kind)), stream_(device_.make_stream()) {}

  Device& device() { return device_; }
  Stream& stream() { return *stream_; }

  void* bytes(std::int64_t n) {
    memory_.emplace_back(device_, static_cast<std::size_t>(std::max<std::int64_t>(n, 1)), "a benchmark");
    return memory_.back().data();
  }
  template <class T>
  T* values(const std::vector<T>& host) {
    const std::size_t n = host.size() * sizeof(T);
    auto* on_device = static_cast<T*>(bytes(static_cast<std::int64_t>(n)));
    stream_->upload(on_device, host.data(), n);
    stream_->synchronize();
    return on_device;
  }
  template <class T>
  T* filled(std::int64_t n, T value) {
    return values(std::vector<T>(static_cast<std::size_t>(n), value));
  }
  // n floats in -1 .. 1: a repeated block of kDrawn random numbers.
  float* floats(std::int64_t n) {
    constexpr std::size_t kDrawn = 1 << 14;
    std::vector<float> host(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < host.size(); ++i)
      host[i] = i < kDrawn ? static_cast<float>(2 * unit(philox(1, Purpose::kTest, 0, i).w[0]) - 1)
                           : host[i - kDrawn];
    return values(host);
  }

 private:
  Device& device_;
  std::unique_ptr<Stream> stream_;
  std::vector<DeviceMemory> memory_;
};

// Runs the op for the benchmark's time. On a GPU the op is measured as in a training step: one recording has
// many runs and is timed from its launch until it has completed, so that the cost of launching and waiting is
// negligible.
template <class Run>
void measure_runs(benchmark::State& state, Bench& bench, const Run& run) {
  if (bench.device().kind() != DeviceKind::kCuda) {
    for (auto _ : state) run();
    return;
  }
  constexpr int kRuns = 50;
  Stream& stream = bench.stream();
  run();  // loads code, which is not allowed while recording
  stream.synchronize();
  const auto recording = stream.record([&] {
    for (int i = 0; i < kRuns; ++i) run();
  });
  stream.replay(*recording);
  stream.synchronize();
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    stream.replay(*recording);
    stream.synchronize();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    state.SetIterationTime(seconds.count() / kRuns);
  }
}

// Calls body(state, bench). An exception fails only this benchmark.
template <class Body>
benchmark::internal::Benchmark* register_on(DeviceKind kind, const std::string& name, const Body& body) {
  auto* one = benchmark::RegisterBenchmark(name.c_str(), [kind, body](benchmark::State& state) {
    try {
      Bench bench(kind);
      body(state, bench);
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
    }
  });
  if (kind == DeviceKind::kCuda) {
    one->UseManualTime()->MinTime(0.004);  // in time of single runs: the benchmark takes kRuns times as long
  } else {
    one->UseRealTime();
  }
  return one;
}

}  // namespace tdds
