// Each op on the shapes of ResNet-18 for 32x32 images at batch 100, on the CPU (BM_Add) and, if there is one,
// on the GPU (BM_Add/cuda). bytes_per_second counts the bytes that the op must move; BM_Memcpy gives the
// upper bound.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "bench/on_device.h"
#include "kernels/ops/advance.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/pool.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "kernels/runtime/device.h"

namespace tdds {
namespace {

// Runs the op, which moves `bytes`, for the benchmark's time.
template <class Run>
void measure(benchmark::State& state, Bench& bench, std::int64_t bytes, const Run& run) {
  measure_runs(state, bench, run);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
}

void BM_Memcpy(benchmark::State& state, Bench& bench) {
  const std::int64_t n = state.range(0) * state.range(1);
  const float* from = bench.floats(n);
  float* to = bench.floats(n);
  if (bench.device().kind() == DeviceKind::kCuda)
    return measure(state, bench, 2 * 4 * n,
                   [&] { bench.stream().copy(to, from, static_cast<std::size_t>(n) * sizeof(float)); });
  constexpr std::int64_t kChunk = 1 << 14;
  measure(state, bench, 2 * 4 * n, [&] {
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n / kChunk; ++i)
      std::memcpy(to + i * kChunk, from + i * kChunk, kChunk * sizeof(float));
    benchmark::ClobberMemory();
  });
}

struct BatchNormBuffers {
  BatchNormBuffers(benchmark::State& state, Bench& on)
      : bench(on),
        rows(state.range(0)),
        channels(static_cast<std::int32_t>(state.range(1))),
        n(rows * channels) {}

  Bench& bench;
  std::int64_t rows;
  std::int32_t channels;
  std::int64_t n;
  float *x = bench.floats(n), *y = bench.floats(n), *dy = bench.floats(n), *residual = bench.floats(n);
  float *weight = bench.floats(channels), *bias = bench.floats(channels), *mean = bench.floats(channels);
  float *inv_std = bench.filled(channels, 1.0f), *running = bench.filled(channels, 1.0f);
  float *dweight = bench.floats(channels), *dbias = bench.floats(channels);
  std::int64_t* tracked = bench.filled<std::int64_t>(1, 0);
  void* workspace = bench.bytes(static_cast<std::int64_t>(batchnorm_workspace_bytes(rows, channels)));
  std::uint8_t* mask = static_cast<std::uint8_t*>(
      bench.bytes(static_cast<std::int64_t>(batchnorm_mask_bytes(rows, channels, DType::kF32))));
  std::size_t ticket_bytes = batchnorm_tickets(channels) * sizeof(std::uint32_t);
  std::uint32_t* tickets = static_cast<std::uint32_t*>(bench.bytes(static_cast<std::int64_t>(ticket_bytes)));

  void zero_tickets() const { bench.stream().zero(tickets, ticket_bytes); }
};

void BM_BatchNormForward(benchmark::State& state, Bench& bench) {
  BatchNormBuffers b(state, bench);
  // x read twice, y written once.
  measure(state, bench, 3 * 4 * b.n, [&] {
    b.zero_tickets();
    batchnorm_forward(bench.stream(), {b.x, nullptr, b.weight, b.bias, b.running, b.running, b.tracked,
                                       b.mean, b.inv_std, b.y, b.rows, b.channels, 1e-5f, 0.1f, DType::kF32,
                                       true, b.workspace, nullptr, b.tickets});
  });
}

void BM_BatchNormForwardResidual(benchmark::State& state, Bench& bench) {
  BatchNormBuffers b(state, bench);
  measure(state, bench, 4 * 4 * b.n, [&] {
    b.zero_tickets();
    batchnorm_forward(bench.stream(), {b.x, b.residual, b.weight, b.bias, b.running, b.running, b.tracked,
                                       b.mean, b.inv_std, b.y, b.rows, b.channels, 1e-5f, 0.1f, DType::kF32,
                                       true, b.workspace, b.mask, b.tickets});
  });
}

void BM_BatchNormBackward(benchmark::State& state, Bench& bench) {
  BatchNormBuffers b(state, bench);
  // x, y (on a CPU) and dy read twice, dx written once.
  measure(state, bench, 7 * 4 * b.n, [&] {
    b.zero_tickets();
    batchnorm_backward(bench.stream(),
                       {b.x, b.y, b.dy, b.weight, b.bias, b.mean, b.inv_std, b.dweight, b.dbias, b.residual,
                        nullptr, b.rows, b.channels, DType::kF32, true, b.workspace, nullptr, b.tickets});
  });
}

void BM_BatchNormInference(benchmark::State& state, Bench& bench) {
  BatchNormBuffers b(state, bench);
  measure(state, bench, 2 * 4 * b.n, [&] {
    batchnorm_inference(bench.stream(), {b.x, nullptr, b.weight, b.bias, b.mean, b.running, b.y, b.rows,
                                         b.channels, 1e-5f, DType::kF32, true});
  });
}

void BM_Add(benchmark::State& state, Bench& bench) {
  BatchNormBuffers b(state, bench);
  measure(state, bench, 3 * 4 * b.n, [&] { add(bench.stream(), {b.x, b.residual, b.y, b.n, DType::kF32}); });
}

void BM_Relu(benchmark::State& state, Bench& bench) {
  BatchNormBuffers b(state, bench);
  measure(state, bench, 2 * 4 * b.n, [&] { relu(bench.stream(), {b.x, b.y, b.n, DType::kF32}); });
}

void BM_ReluBackward(benchmark::State& state, Bench& bench) {
  BatchNormBuffers b(state, bench);
  measure(state, bench, 3 * 4 * b.n, [&] {
    relu_backward(bench.stream(), {b.x, b.dy, b.y, b.n, DType::kF32});
  });
}

constexpr std::int32_t kBatch = 100, kSide = 32;

std::int32_t* order(Bench& bench) {
  std::vector<std::int32_t> ids(kBatch);
  std::iota(ids.begin(), ids.end(), 0);
  return bench.values(ids);
}

void BM_Augment(benchmark::State& state, Bench& bench) {
  const std::int64_t pixels = std::int64_t{kBatch} * kSide * kSide;
  const auto* images = bench.filled<std::uint8_t>(pixels * 3, 100);
  const AugmentArgs args{images,
                         order(bench),
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
  measure(state, bench, pixels * 3 * 5, [&] { augment(bench.stream(), args); });
}

void BM_GlobalAvgPool(benchmark::State& state, Bench& bench) {
  const std::int64_t n = std::int64_t{kBatch} * 16 * 512;
  const float* x = bench.floats(n);
  float* y = bench.floats(kBatch * 512);
  measure(state, bench, 4 * n, [&] {
    global_avg_pool(bench.stream(), {x, y, kBatch, 16, 512, DType::kF32});
  });
}

void BM_GlobalAvgPoolBackward(benchmark::State& state, Bench& bench) {
  const std::int64_t n = std::int64_t{kBatch} * 16 * 512;
  float* dx = bench.floats(n);
  const float* dy = bench.floats(kBatch * 512);
  measure(state, bench, 4 * n, [&] {
    global_avg_pool_backward(bench.stream(), {dy, dx, kBatch, 16, 512, DType::kF32});
  });
}

void BM_SoftmaxKl(benchmark::State& state, Bench& bench) {
  const auto classes = static_cast<std::int32_t>(state.range(0));
  const std::int64_t n = std::int64_t{kBatch} * classes;
  StepState second_visit{};
  second_visit.epoch = 1;
  SoftmaxKlArgs args{};
  args.logits = bench.floats(n);
  args.labels = bench.filled<std::int32_t>(kBatch, 1);
  args.order = order(bench);
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
  // logits and prev_logp read, dlogits and prev_logp written.
  measure(state, bench, 4 * 4 * n, [&] { softmax_kl(bench.stream(), args); });
}

// The parameters of ResNet-18 with 100 classes.
constexpr std::int64_t kParameters = 11'220'132;

void BM_Sgd(benchmark::State& state, Bench& bench) {
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
  // w and v read and written, the gradient read.
  measure(state, bench, 5 * 4 * kParameters, [&] { sgd(bench.stream(), args); });
}

void BM_CheckFinite(benchmark::State& state, Bench& bench) {
  const CheckFiniteArgs args{bench.floats(kParameters), bench.filled<StepState>(1, {}), kParameters,
                             DType::kF32};
  measure(state, bench, 4 * kParameters, [&] { check_finite(bench.stream(), args); });
}

void BM_Advance(benchmark::State& state, Bench& bench) {
  StepState* step = bench.filled<StepState>(1, {});
  const AdvanceArgs args{step,   order(bench), bench.floats(kBatch), bench.filled<std::uint8_t>(kBatch, 1),
                         kBatch, true};
  measure(state, bench, kBatch * 9, [&] {
    bench.stream().zero(step, sizeof(StepState));  // otherwise the cursor runs past the order
    advance(bench.stream(), args);
  });
}

using Body = void (*)(benchmark::State&, Bench&);

bool register_all() {
  const std::pair<const char*, Body> of_activations[] = {
      {"BM_Memcpy", BM_Memcpy},
      {"BM_BatchNormForward", BM_BatchNormForward},
      {"BM_BatchNormForwardResidual", BM_BatchNormForwardResidual},
      {"BM_BatchNormBackward", BM_BatchNormBackward},
      {"BM_BatchNormInference", BM_BatchNormInference},
      {"BM_Add", BM_Add},
      {"BM_Relu", BM_Relu},
      {"BM_ReluBackward", BM_ReluBackward}};
  const std::pair<const char*, Body> others[] = {{"BM_Augment", BM_Augment},
                                                 {"BM_GlobalAvgPool", BM_GlobalAvgPool},
                                                 {"BM_GlobalAvgPoolBackward", BM_GlobalAvgPoolBackward},
                                                 {"BM_Sgd", BM_Sgd},
                                                 {"BM_CheckFinite", BM_CheckFinite},
                                                 {"BM_Advance", BM_Advance}};
  for (const DeviceKind kind : devices_to_measure()) {
    const auto add = [kind](const char* name, Body body) {
      const std::string where = kind == DeviceKind::kCpu ? "" : std::string("/") + to_string(kind);
      return register_on(kind, name + where, body)->Unit(benchmark::kMicrosecond);
    };
    for (const auto& [name, body] : of_activations)
      add(name, body)
          ->ArgNames({"rows", "channels"})
          ->Args({102400, 64})
          ->Args({25600, 128})
          ->Args({6400, 256})
          ->Args({1600, 512})
          ->Args({102400, 16});
    for (const auto& [name, body] : others) add(name, body);
    add("BM_SoftmaxKl", BM_SoftmaxKl)->ArgName("classes")->Arg(10)->Arg(100)->Arg(1000);
  }
  return true;
}
const bool registered = register_all();

}  // namespace
}  // namespace tdds
