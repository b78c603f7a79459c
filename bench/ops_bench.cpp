// Each op of the CPU backend on the shapes of ResNet-18 for 32x32 images at batch 100. bytes_per_second
// counts what the op must move; BM_Memcpy is the speed of light beside it.

#include <benchmark/benchmark.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/device.h"
#include "kernels/ops.h"
#include "kernels/philox.h"

namespace tdds {
namespace {

class Bench {
 public:
  Bench() : device_(make_device(DeviceKind::kCpu)), stream_(device_->make_stream()) {}

  const Ops& ops() { return device_->ops(); }
  Stream& stream() { return *stream_; }

  // n floats in -1 .. 1.
  float* floats(std::int64_t n) {
    auto* values = static_cast<float*>(bytes(n * 4));
    for (std::int64_t i = 0; i < n; ++i)
      values[i] = static_cast<float>(2 * unit(philox(1, Purpose::kTest, 0, i).w[0]) - 1);
    return values;
  }
  void* bytes(std::int64_t n) {
    memory_.emplace_back(*device_, static_cast<std::size_t>(n), "a benchmark");
    return memory_.back().data();
  }
  template <class T>
  T* filled(std::int64_t n, T value) {
    auto* values = static_cast<T*>(bytes(n * static_cast<std::int64_t>(sizeof(T))));
    std::fill_n(values, n, value);
    return values;
  }
  std::int32_t* order(std::int32_t n) {
    auto* ids = filled<std::int32_t>(n, 0);
    std::iota(ids, ids + n, 0);
    return ids;
  }

 private:
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::vector<DeviceMemory> memory_;
};

// Runs the op, which moves `bytes`, for the benchmark's time.
template <class Run>
void measure(benchmark::State& state, std::int64_t bytes, const Run& run) {
  for (auto _ : state) run();
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
}

void BM_Memcpy(benchmark::State& state) {
  Bench bench;
  const std::int64_t n = state.range(0) * state.range(1);
  const float* from = bench.floats(n);
  float* to = bench.floats(n);
  constexpr std::int64_t kChunk = 1 << 14;
  measure(state, 2 * 4 * n, [&] {
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n / kChunk; ++i)
      std::memcpy(to + i * kChunk, from + i * kChunk, kChunk * sizeof(float));
    benchmark::ClobberMemory();
  });
}

struct BatchNormBuffers {
  explicit BatchNormBuffers(benchmark::State& state)
      : rows(state.range(0)), channels(static_cast<std::int32_t>(state.range(1))), n(rows * channels) {}

  Bench bench;
  std::int64_t rows;
  std::int32_t channels;
  std::int64_t n;
  float *x = bench.floats(n), *y = bench.floats(n), *dy = bench.floats(n), *residual = bench.floats(n);
  float *weight = bench.floats(channels), *bias = bench.floats(channels), *mean = bench.floats(channels);
  float *inv_std = bench.filled(channels, 1.0f), *running = bench.filled(channels, 1.0f);
  float *dweight = bench.floats(channels), *dbias = bench.floats(channels);
  std::int64_t* tracked = bench.filled<std::int64_t>(1, 0);
  void* workspace = bench.bytes(static_cast<std::int64_t>(batchnorm_workspace_bytes(rows, channels)));
};

void BM_BatchNormForward(benchmark::State& state) {
  BatchNormBuffers b(state);
  // x twice, y once.
  measure(state, 3 * 4 * b.n, [&] {
    b.bench.ops().batchnorm_forward(
        b.bench.stream(), {b.x, nullptr, b.weight, b.bias, b.running, b.running, b.tracked, b.mean, b.inv_std,
                           b.y, b.rows, b.channels, 1e-5f, 0.1f, DType::kF32, true, b.workspace});
  });
}

void BM_BatchNormForwardResidual(benchmark::State& state) {
  BatchNormBuffers b(state);
  measure(state, 4 * 4 * b.n, [&] {
    b.bench.ops().batchnorm_forward(
        b.bench.stream(), {b.x, b.residual, b.weight, b.bias, b.running, b.running, b.tracked, b.mean,
                           b.inv_std, b.y, b.rows, b.channels, 1e-5f, 0.1f, DType::kF32, true, b.workspace});
  });
}

void BM_BatchNormBackward(benchmark::State& state) {
  BatchNormBuffers b(state);
  // x, y and dy twice, dx once.
  measure(state, 7 * 4 * b.n, [&] {
    b.bench.ops().batchnorm_backward(
        b.bench.stream(), {b.x, b.y, b.dy, b.weight, b.mean, b.inv_std, b.dweight, b.dbias, b.residual,
                           nullptr, b.rows, b.channels, DType::kF32, true, b.workspace});
  });
}

void BM_BatchNormInference(benchmark::State& state) {
  BatchNormBuffers b(state);
  measure(state, 2 * 4 * b.n, [&] {
    b.bench.ops().batchnorm_inference(b.bench.stream(), {b.x, nullptr, b.weight, b.bias, b.mean, b.running,
                                                         b.y, b.rows, b.channels, 1e-5f, DType::kF32, true});
  });
}

void activation_shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "channels"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  bench->Args({102400, 64})->Args({25600, 128})->Args({6400, 256})->Args({1600, 512})->Args({102400, 16});
}

BENCHMARK(BM_Memcpy)->Apply(activation_shapes);
BENCHMARK(BM_BatchNormForward)->Apply(activation_shapes);
BENCHMARK(BM_BatchNormForwardResidual)->Apply(activation_shapes);
BENCHMARK(BM_BatchNormBackward)->Apply(activation_shapes);
BENCHMARK(BM_BatchNormInference)->Apply(activation_shapes);

}  // namespace
}  // namespace tdds
