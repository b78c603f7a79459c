// The ops that a training step of a CIFAR network does not make: those of ImageNet's stem, of scoring, and of
// loops other than the project's own.

#include <fmt/format.h>

#include <numeric>

#include "bench/op_list.h"
#include "kernels/numerics/philox.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/feature_norm.h"
#include "kernels/ops/linear.h"
#include "kernels/ops/max_pool.h"
#include "kernels/ops/pool.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/sort.h"
#include "kernels/ops/step_state.h"
#include "kernels/ops/window_score.h"
#include "tdds/methods/tdds_score.h"

namespace tdds {
namespace {

constexpr std::int32_t kBatch = 128, kFeatures = 512;
constexpr std::int64_t kSamples = 50000;
constexpr std::int32_t kEpochs = 90, kWindow = 10;  // the paper's T and J for CIFAR-100 at 30 % pruned

// Allocates and fills device memory that lives as long as the list of ops.
class Memory {
 public:
  Memory(Device& device, Stream& stream, std::vector<DeviceMemory>& owner)
      : device_(device), stream_(stream), owner_(owner) {}

  void* bytes(std::size_t n) { return owner_.emplace_back(device_, n, "a benchmark").data(); }
  template <class T>
  T* values(const std::vector<T>& host) {
    auto* at = static_cast<T*>(bytes(host.size() * sizeof(T)));
    stream_.upload(at, host.data(), host.size() * sizeof(T));
    stream_.synchronize();
    return at;
  }
  float* floats(std::int64_t n) {
    std::vector<float> host(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < host.size(); ++i)
      host[i] = static_cast<float>(unit(philox(1, Purpose::kTest, 0, i % 16384).w[0]));
    return values(host);
  }
  // Zeros of any type.
  void* zeros(std::size_t n) {
    void* at = bytes(n);
    stream_.zero(at, n);
    return at;
  }

 private:
  Device& device_;
  Stream& stream_;
  std::vector<DeviceMemory>& owner_;
};

void call_elementwise(Stream& stream, Memory& memory, DType dtype) {
  const std::int64_t n = std::int64_t{kBatch} * 32 * 32 * 64;
  const std::size_t bytes = static_cast<std::size_t>(n) * element_size(dtype);
  void *a = memory.zeros(bytes), *b = memory.zeros(bytes), *out = memory.zeros(bytes);
  add(stream, {a, b, out, n, dtype});
  relu(stream, {a, out, n, dtype});
  relu_backward(stream, {a, b, out, n, dtype});
}

void call_pools(Stream& stream, Memory& memory, DType dtype) {
  const MaxPoolShape shape{.batch = 32,
                           .height = 112,
                           .width = 112,
                           .channels = 64,
                           .window = 3,
                           .stride = 2,
                           .padding = 1,
                           .dtype = dtype};
  const std::size_t inputs = std::size_t{32} * 112 * 112 * 64;
  void *x = memory.zeros(inputs * element_size(dtype)),
       *y = memory.zeros(shape.outputs() * element_size(dtype));
  auto* argmax = static_cast<std::uint8_t*>(memory.zeros(shape.outputs()));
  max_pool(stream, {x, y, argmax, shape});
  max_pool_backward(stream, {y, argmax, x, shape});
  float* pooled = memory.floats(std::int64_t{kBatch} * kFeatures);
  void* map = memory.zeros(std::size_t{kBatch} * 16 * kFeatures * element_size(dtype));
  global_avg_pool(stream, {map, pooled, kBatch, 16, kFeatures, dtype});
  global_avg_pool_backward(stream, {pooled, map, kBatch, 16, kFeatures, dtype});
}

void call_head_parts(Stream& stream, Memory& memory) {
  std::vector<std::int32_t> ids(kBatch);
  std::iota(ids.begin(), ids.end(), 0);
  const auto* order = memory.values(ids);
  const auto* labels = static_cast<const std::int32_t*>(memory.zeros(kBatch * sizeof(std::int32_t)));
  StepState second_visit{};
  second_visit.epoch = 1;
  const auto* state = memory.values(std::vector<StepState>{second_visit});
  const float* features = memory.floats(std::int64_t{kBatch} * kFeatures);
  feature_norm(stream, {features, order, state, memory.floats(kBatch), kBatch, kFeatures});
  for (const std::int32_t classes : {10, 100, 1000}) {
    const std::int64_t n = std::int64_t{kBatch} * classes;
    const StreamRange range(stream, fmt::format("{}classes", classes));
    softmax_kl(stream, {.logits = memory.floats(n),
                        .labels = labels,
                        .order = order,
                        .state = state,
                        .dlogits = memory.floats(n),
                        .prev_logp = memory.floats(n),
                        .out = {.kl = memory.floats(kBatch),
                                .true_kl = memory.floats(kBatch),
                                .loss = memory.floats(kBatch),
                                .log_other = memory.floats(kBatch),
                                .entropy = memory.floats(kBatch),
                                .el2n = memory.floats(kBatch),
                                .correct = static_cast<std::uint8_t*>(memory.zeros(kBatch))},
                        .batch = kBatch,
                        .classes = classes});
  }
}

std::unique_ptr<Linear> call_linear(TracingDevice& device, Stream& stream, Memory& memory) {
  auto linear = make_linear(device, {.batch = kBatch, .in_features = kFeatures, .out_features = 100});
  const float* x = memory.floats(kBatch * kFeatures);
  float *w = memory.floats(100 * kFeatures), *bias = memory.floats(100), *y = memory.floats(kBatch * 100);
  linear->forward(stream, x, w, bias, y);
  linear->backward(stream, x, w, y, memory.floats(kBatch * kFeatures), memory.floats(100 * kFeatures),
                   memory.floats(100));
  return linear;
}

void call_scoring(TracingDevice& device, Stream& stream, Memory& memory) {
  const float* series = memory.floats((kEpochs - 1) * kSamples);
  float *score = memory.floats(kSamples), *sorted = memory.floats(kSamples);
  window_score(stream, {series, score, kSamples, kEpochs, kWindow, 0.9});
  std::vector<std::int32_t> ids(kSamples);
  std::iota(ids.begin(), ids.end(), 0);
  const std::size_t workspace = sort_workspace_bytes(device.plans(), kSamples);
  sort_by_score(stream, {score, memory.values(ids), sorted,
                         static_cast<std::int32_t*>(memory.zeros(kSamples * sizeof(std::int32_t))), kSamples,
                         workspace > 0 ? memory.bytes(workspace) : nullptr, workspace});
  // The scorer as tdds-score runs it, from the series in host memory to the scores there.
  auto host = std::make_shared<KlSeries>();
  host->samples = kSamples;
  host->epochs = kEpochs;
  host->values.resize(static_cast<std::size_t>((kEpochs - 1) * kSamples));
  for (std::size_t i = 0; i < host->values.size(); ++i)
    host->values[i] = unit(philox(2, Purpose::kTest, 0, i % 16384).w[0]);
  Device& real = device.plans();
  device.op(stream, {.name = "tdds_scores", .bytes = 8.0 * static_cast<double>(host->values.size())},
            [host, &real](Stream&) {
              const ScoreSetting setting{.trajectory_len = kEpochs, .window_size = kWindow};
              static_cast<void>(tdds_scores(real, *host, std::span(&setting, 1), 0.9));
            });
}

}  // namespace

OtherOps call_other_ops(TracingDevice& device, Stream& stream, DType dtype) {
  OtherOps kept;
  Memory memory(device, stream, kept.memory);
  call_elementwise(stream, memory, dtype);
  call_pools(stream, memory, dtype);
  call_head_parts(stream, memory);
  kept.linear = call_linear(device, stream, memory);
  call_scoring(device, stream, memory);
  return kept;
}

}  // namespace tdds
