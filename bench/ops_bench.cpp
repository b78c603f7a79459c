// Each op of the CPU backend on the shapes of ResNet-18 for 32x32 images at batch 100. bytes_per_second
// counts what the op must move; BM_Memcpy is the speed of light beside it.

#include <benchmark/benchmark.h>

#include <algorithm>
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

void BM_Add(benchmark::State& state) {
  BatchNormBuffers b(state);
  measure(state, 3 * 4 * b.n, [&] {
    b.bench.ops().add(b.bench.stream(), {b.x, b.residual, b.y, b.n, DType::kF32});
  });
}

void BM_Relu(benchmark::State& state) {
  BatchNormBuffers b(state);
  measure(state, 2 * 4 * b.n, [&] { b.bench.ops().relu(b.bench.stream(), {b.x, b.y, b.n, DType::kF32}); });
}

void BM_ReluBackward(benchmark::State& state) {
  BatchNormBuffers b(state);
  measure(state, 3 * 4 * b.n, [&] {
    b.bench.ops().relu_backward(b.bench.stream(), {b.x, b.dy, b.y, b.n, DType::kF32});
  });
}

constexpr std::int32_t kBatch = 100, kSide = 32;

void BM_Augment(benchmark::State& state) {
  Bench bench;
  const std::int64_t pixels = std::int64_t{kBatch} * kSide * kSide;
  const auto* images = bench.filled<std::uint8_t>(pixels * 3, 100);
  const AugmentArgs args{images,
                         bench.order(kBatch),
                         bench.filled<StepState>(1, {}),
                         bench.floats(3 * 256),
                         nullptr,
                         bench.floats(pixels * 3),
                         DType::kF32,
                         kBatch,
                         kSide,
                         kSide,
                         kSide,
                         kSide,
                         3,
                         Crop::kPadded,
                         4,
                         42};
  measure(state, pixels * 3 * 5, [&] { bench.ops().augment(bench.stream(), args); });
}

void BM_GlobalAvgPool(benchmark::State& state) {
  Bench bench;
  const std::int64_t n = std::int64_t{kBatch} * 16 * 512;
  const float* x = bench.floats(n);
  float* y = bench.floats(kBatch * 512);
  measure(state, 4 * n, [&] {
    bench.ops().global_avg_pool(bench.stream(), {x, y, kBatch, 16, 512, DType::kF32});
  });
}

void BM_GlobalAvgPoolBackward(benchmark::State& state) {
  Bench bench;
  const std::int64_t n = std::int64_t{kBatch} * 16 * 512;
  float* dx = bench.floats(n);
  const float* dy = bench.floats(kBatch * 512);
  measure(state, 4 * n, [&] {
    bench.ops().global_avg_pool_backward(bench.stream(), {dy, dx, kBatch, 16, 512, DType::kF32});
  });
}

void BM_SoftmaxKl(benchmark::State& state) {
  Bench bench;
  const auto classes = static_cast<std::int32_t>(state.range(0));
  const std::int64_t n = std::int64_t{kBatch} * classes;
  StepState second_visit{};
  second_visit.epoch = 1;
  SoftmaxKlArgs args{};
  args.logits = bench.floats(n);
  args.labels = bench.filled<std::int32_t>(kBatch, 1);
  args.order = bench.order(kBatch);
  args.state = bench.filled(1, second_visit);
  args.dlogits = bench.floats(n);
  args.prev_logp = bench.floats(n);
  args.out = {bench.floats(kBatch),
              bench.floats(kBatch),
              bench.floats(kBatch),
              bench.floats(kBatch),
              bench.floats(kBatch),
              bench.floats(kBatch),
              bench.filled<std::uint8_t>(kBatch, 0)};
  args.loss_scale = 1;
  args.batch = kBatch;
  args.classes = classes;
  // logits in, dlogits out, prev_logp both.
  measure(state, 4 * 4 * n, [&] { bench.ops().softmax_kl(bench.stream(), args); });
}

// The parameters of ResNet-18 with 100 classes.
constexpr std::int64_t kParameters = 11'220'132;

void BM_Sgd(benchmark::State& state) {
  Bench bench;
  const SgdArgs args{bench.floats(kParameters),
                     bench.floats(kParameters),
                     bench.floats(kParameters),
                     nullptr,
                     bench.floats(1),
                     bench.filled<StepState>(1, {}),
                     kParameters,
                     DType::kF32,
                     DType::kF32,
                     0.9f,
                     5e-4f,
                     1,
                     true};
  // w and v both ways, the gradient in.
  measure(state, 5 * 4 * kParameters, [&] { bench.ops().sgd(bench.stream(), args); });
}

void BM_CheckFinite(benchmark::State& state) {
  Bench bench;
  const CheckFiniteArgs args{bench.floats(kParameters), bench.filled<StepState>(1, {}), kParameters,
                             DType::kF32};
  measure(state, 4 * kParameters, [&] { bench.ops().check_finite(bench.stream(), args); });
}

void BM_Advance(benchmark::State& state) {
  Bench bench;
  StepState* step = bench.filled<StepState>(1, {});
  const AdvanceArgs args{
      step, bench.order(kBatch), bench.floats(kBatch), bench.filled<std::uint8_t>(kBatch, 1), kBatch, true};
  measure(state, kBatch * 9, [&] {
    step->cursor = 0;
    bench.ops().advance(bench.stream(), args);
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
BENCHMARK(BM_Add)->Apply(activation_shapes);
BENCHMARK(BM_Relu)->Apply(activation_shapes);
BENCHMARK(BM_ReluBackward)->Apply(activation_shapes);
BENCHMARK(BM_Augment)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(BM_GlobalAvgPool)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(BM_GlobalAvgPoolBackward)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(BM_SoftmaxKl)
    ->ArgName("classes")
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();
BENCHMARK(BM_Sgd)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(BM_CheckFinite)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(BM_Advance)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace tdds
