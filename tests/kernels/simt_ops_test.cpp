// Every hand-written kernel of an op on simt: the bits do not depend on the order of threads and blocks nor
// on the previous contents of memory, and the results are finite and agree with the CPU within a tolerance.
// (The kernels of the linear layer are in simt_bias_test.cpp.)

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "kernels/numerics/crop_box.h"
#include "kernels/ops/accumulate.h"
#include "kernels/ops/advance.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/feature_norm.h"
#include "kernels/ops/head.h"
#include "kernels/ops/max_pool.h"
#include "kernels/ops/pool.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/window_score.h"
#include "tests/kernels/simt_rig.h"

namespace tdds::test {
namespace {

// Ids in a scrambled order.
std::vector<std::int32_t> some_order(std::int32_t n) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  for (std::int32_t i = 0; i < n; ++i) order[i] = static_cast<std::int32_t>((i * 7LL + 3) % n);
  return order;
}

struct OpRun {
  std::string name;
  bool typed;  // takes activations of any type
  std::function<void(Rig&, DType)> run;
};

void run_softmax(Rig& rig, std::int32_t batch, std::int32_t classes) {
  const std::int32_t samples = 2 * batch + 1;
  const auto n = static_cast<std::size_t>(samples), rows = static_cast<std::size_t>(batch),
             k = static_cast<std::size_t>(classes);
  std::vector<std::int32_t> labels(n), order(n);
  for (std::int32_t i = 0; i < samples; ++i) {
    labels[i] = (i * 31) % classes;
    order[i] = (i + samples / 2) % samples;
  }
  std::vector<float> previous = random_values(n * k, 2, -5);
  auto* prev = rig.in(previous);
  rig.watch("prev_logp", prev, n * k);
  auto* weight = rig.out("batch_weight", 1);
  auto* state = rig.state(0, batch, 1);
  auto* order_memory = rig.in(order);
  batch_weight(rig.stream(), {rig.in(random_values(n, 3, 1, 0.1)), order_memory, state, weight, batch});
  // By sample id: only those of the batch are written, so the others start as 0.
  const auto by_id = [&](const std::string& name) {
    auto* memory = rig.in(std::vector<float>(n, 0));
    rig.watch(name, memory, n);
    return memory;
  };
  auto* correct = rig.in(std::vector<std::uint8_t>(n, 0));
  rig.watch("correct", correct, n, DType::kU8);
  auto* top5 = rig.in(std::vector<std::uint8_t>(n, 0));
  rig.watch("in_top5", top5, n, DType::kU8);
  auto* visits = rig.in(std::vector<float>(n * k, 0));
  rig.watch("visit_logits", visits, n * k);
  softmax_kl(rig.stream(), {.logits = rig.in(random_values(rows * k, 1, 0, 3)),
                            .labels = rig.in(labels),
                            .order = order_memory,
                            .state = state,
                            .dlogits = rig.out("dlogits", rows * k),
                            .prev_logp = prev,
                            .visit_logits = visits,
                            .out = {by_id("kl"), by_id("true_kl"), by_id("loss"), by_id("log_other"),
                                    by_id("entropy"), by_id("el2n"), correct, top5},
                            .batch_weight = weight,
                            .loss_scale = 1024,
                            .smoothing = 0.1f,
                            .batch = batch,
                            .classes = classes});
}

void run_batchnorm(Rig& rig, DType dtype, std::int64_t rows, std::int32_t channels) {
  const auto n = static_cast<std::size_t>(rows * channels), c = static_cast<std::size_t>(channels);
  auto* x = rig.typed(dtype, random_values(n, 1, 1, 2));
  auto *weight = rig.in(random_values(c, 2, 1, 0.2)), *bias = rig.in(random_values(c, 3));
  auto *running_mean = rig.in(std::vector<float>(c, 0)), *running_var = rig.in(std::vector<float>(c, 1));
  auto* tracked = rig.in<std::int64_t>({3});
  auto *mean = rig.out("mean", c), *inv_std = rig.out("inv_std", c);
  auto* y = rig.out<void>("y", n, dtype);
  auto* residual = rig.typed(dtype, random_values(n, 4));
  void* workspace = rig.scratch(batchnorm_workspace_bytes(rows, channels));
  auto* mask = rig.in(std::vector<std::uint8_t>(batchnorm_mask_bytes(rows, channels, dtype), 0));
  const auto tickets = [&] { return rig.in(std::vector<std::uint32_t>(batchnorm_tickets(channels), 0)); };
  batchnorm_forward(rig.stream(),
                    {x, residual, weight, bias, running_mean, running_var, tracked, mean, inv_std, y, rows,
                     channels, 1e-5f, 0.1f, dtype, true, workspace, mask, tickets()});
  rig.watch("running_mean", running_mean, c);
  rig.watch("running_var", running_var, c);
  rig.watch("batches_tracked", tracked, 1, DType::kI64);
  batchnorm_backward(rig.stream(), {x, y, rig.typed(dtype, random_values(n, 5)), weight, bias, mean, inv_std,
                                    rig.out("dweight", c), rig.out("dbias", c), rig.out<void>("dx", n, dtype),
                                    rig.out<void>("dresidual", n, dtype), rows, channels, dtype, true,
                                    workspace, mask, tickets()});
  batchnorm_inference(rig.stream(),
                      {x, nullptr, weight, bias, running_mean, running_var,
                       rig.out<void>("inference", n, dtype), rows, channels, 1e-5f, dtype, false});
}

// What a rank leaves for the others, and what it makes of theirs: its own twice.
void run_batchnorm_of_ranks(Rig& rig, DType dtype, std::int64_t rows, std::int32_t channels) {
  const auto n = static_cast<std::size_t>(rows * channels), c = static_cast<std::size_t>(channels);
  auto* x = rig.typed(dtype, random_values(n, 1, 1, 2));
  auto *weight = rig.in(random_values(c, 2, 1, 0.2)), *bias = rig.in(random_values(c, 3));
  auto *mean = rig.out("mean", c), *inv_std = rig.out("inv_std", c), *slots = rig.out("slots", 4 * c);
  auto* y = rig.out<void>("y", n, dtype);
  void* workspace = rig.scratch(batchnorm_workspace_bytes(rows, channels));
  const auto tickets = [&] { return rig.in(std::vector<std::uint32_t>(batchnorm_tickets(channels), 0)); };
  BatchNormForwardArgs forward{x,
                               nullptr,
                               weight,
                               bias,
                               rig.in(std::vector<float>(c, 0)),
                               rig.in(std::vector<float>(c, 1)),
                               rig.in<std::int64_t>({3}),
                               mean,
                               inv_std,
                               y,
                               rows,
                               channels,
                               1e-5f,
                               0.1f,
                               dtype,
                               true,
                               workspace,
                               nullptr,
                               tickets()};
  const BatchNormPartials partials{slots, rows, 2 * rows};
  for (const std::size_t rank : {0, 1}) {
    if (rank == 1) forward.tickets = tickets();
    batchnorm_moments(rig.stream(), {forward, slots + rank * 2 * c});
  }
  forward.partials = partials;
  batchnorm_forward(rig.stream(), forward);
  auto* sums = rig.out("sums", 4 * c);
  BatchNormBackwardArgs backward{x,
                                 y,
                                 rig.typed(dtype, random_values(n, 5)),
                                 weight,
                                 bias,
                                 mean,
                                 inv_std,
                                 rig.out("dweight", c),
                                 rig.out("dbias", c),
                                 rig.out<void>("dx", n, dtype),
                                 nullptr,
                                 rows,
                                 channels,
                                 dtype,
                                 true,
                                 workspace,
                                 nullptr,
                                 tickets()};
  for (const std::size_t rank : {0, 1}) {
    if (rank == 1) backward.tickets = tickets();
    batchnorm_sums(rig.stream(), {backward, sums + rank * 2 * c});
  }
  backward.partials = {sums, rows, 2 * rows};
  batchnorm_backward(rig.stream(), backward);
}

void run_augment(Rig& rig, DType dtype, std::int32_t channels_out, Crop crop) {
  constexpr std::int32_t kSamples = 9, kBatch = 4, kHeight = 17, kWidth = 13, kOut = 11, kTickets = 1234;
  std::vector<std::uint8_t> images(std::size_t{kSamples} * kHeight * kWidth * 3);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(i * 37 % 251);
  const float mean[3] = {0.5f, 0.4f, 0.3f}, std[3] = {0.2f, 0.25f, 0.3f};
  std::vector<float> table(3 * 256);
  fill_normalize_table(table.data(), mean, std);
  const auto aspects = crop_aspects();
  auto* tickets = rig.out<std::uint32_t>("tickets", kTickets, DType::kI32);
  augment(rig.stream(),
          {rig.in(images), rig.in(some_order(kSamples)), rig.state(0, 5, 2), rig.in(table),
           rig.in(std::vector<std::uint32_t>(aspects.begin(), aspects.end())),
           rig.out<void>("x", std::size_t{kBatch} * kOut * kOut * channels_out, dtype), dtype, kBatch,
           kHeight, kWidth, kOut, kOut, channels_out, crop, 4, 77, false, tickets, kTickets});
}

void run_sgd(Rig& rig, DType dtype) {
  constexpr std::size_t kN = 5001;
  auto *w = rig.in(random_values(kN, 1)), *v = rig.in(random_values(kN, 2));
  rig.watch("w", w, kN);
  rig.watch("v", v, kN);
  auto* gradient = rig.typed(dtype, random_values(kN, 3));
  auto* state = rig.state(1, 0, 0);
  constexpr std::size_t kMore = 2003;
  auto *more_w = rig.in(random_values(kMore, 4)), *more_v = rig.in(random_values(kMore, 5));
  const auto* more_gradient = rig.in(random_values(kMore, 6));
  rig.watch("more w", more_w, kMore);
  rig.watch("more v", more_v, kMore);
  check_finite(rig.stream(), {gradient, state, kN, dtype, more_gradient, kMore});
  sgd(rig.stream(), {w,
                     v,
                     gradient,
                     rig.out<void>("compute", kN, dtype),
                     rig.in<float>({9, 0.1f}),
                     state,
                     kN,
                     dtype,
                     dtype,
                     0.9f,
                     5e-4f,
                     0.5f,
                     true,
                     {more_w, more_v, more_gradient, kMore}});
}

void run_accumulate(Rig& rig, DType dtype) {
  constexpr std::size_t kN = 3001;
  auto* sum = rig.out("sum", kN);
  for (const bool first : {true, false})
    accumulate(rig.stream(), {rig.typed(dtype, random_values(kN, first)), sum, kN, dtype, first});
}

void run_elementwise(Rig& rig, DType dtype) {
  constexpr std::size_t kN = 3001;
  auto *a = rig.typed(dtype, random_values(kN, 1)), *b = rig.typed(dtype, random_values(kN, 2));
  auto* y = rig.out<void>("relu", kN, dtype);
  add(rig.stream(), {a, b, rig.out<void>("sum", kN, dtype), kN, dtype});
  relu(rig.stream(), {a, y, kN, dtype});
  relu_backward(rig.stream(), {y, b, rig.out<void>("dx", kN, dtype), kN, dtype});
}

void run_pool(Rig& rig, DType dtype, std::int32_t channels) {
  constexpr std::int32_t kBatch = 3, kPositions = 49;
  const std::size_t outputs = std::size_t{kBatch} * channels, n = outputs * kPositions;
  auto* y = rig.out("y", outputs);
  global_avg_pool(rig.stream(),
                  {rig.typed(dtype, random_values(n, 1)), y, kBatch, kPositions, channels, dtype});
  global_avg_pool_backward(rig.stream(),
                           {y, rig.out<void>("dx", n, dtype), kBatch, kPositions, channels, dtype});
}

void run_max_pool(Rig& rig, DType dtype, std::int32_t channels) {
  const MaxPoolShape shape{2, 9, 12, channels, 3, 2, 1, dtype};
  const std::size_t n = std::size_t{2} * 9 * 12 * static_cast<std::size_t>(channels),
                    outputs = shape.outputs();
  auto* argmax = rig.out<std::uint8_t>("argmax", outputs, DType::kU8);
  max_pool(rig.stream(),
           {rig.typed(dtype, random_values(n, 1)), rig.out<void>("y", outputs, dtype), argmax, shape});
  max_pool_backward(rig.stream(), {rig.typed(dtype, random_values(outputs, 2)), argmax,
                                   rig.out<void>("dx", n, dtype), shape});
}

void run_step(Rig& rig) {
  constexpr std::int32_t kSamples = 1500, kBatch = 700;
  auto* state = rig.state(3, 701, 1);
  state->nonfinite = 1;
  rig.watch("step, cursor", &state->step, 2, DType::kI64);
  rig.watch("epoch, nonfinite", &state->epoch, 2, DType::kI32);
  rig.watch("skipped", &state->skipped, 1, DType::kI64);
  rig.watch("loss_sum", &state->loss_sum, 1, DType::kF64);
  rig.watch("hits", &state->correct, 1, DType::kI64);
  std::vector<std::uint8_t> correct(kSamples);
  for (std::size_t i = 0; i < correct.size(); ++i) correct[i] = i % 3 == 0;
  advance(rig.stream(), {state, rig.in(some_order(kSamples)), rig.in(random_values(kSamples, 1, 2, 0.1)),
                         rig.in(correct), kBatch, true});
}

void run_window_score(Rig& rig) {
  constexpr std::int64_t kSamples = 301;
  constexpr std::int32_t kEpochs = 30;
  std::vector<float> series = random_values((kEpochs - 1) * kSamples, 1);
  for (float& d : series) d = d * d;
  window_score(rig.stream(), {rig.in(series), rig.out("score", kSamples), kSamples, kEpochs, 10, 0.9});
}

void run_feature_norm(Rig& rig, std::int32_t width) {
  constexpr std::int32_t kSamples = 23, kBatch = 10;
  auto* norm = rig.in(std::vector<float>(kSamples, 0));
  rig.watch("norm", norm, kSamples);
  const auto n = static_cast<std::size_t>(kBatch) * static_cast<std::size_t>(width);
  feature_norm(rig.stream(), {rig.in(random_values(n, 1)), rig.in(some_order(kSamples)),
                              rig.state(0, kBatch, 1), norm, kBatch, width});
}

void run_head(Rig& rig, DType dtype, std::int32_t batch, std::int32_t features, std::int32_t classes) {
  const HeadShape s{batch, 5, features, classes, dtype};
  const auto b = static_cast<std::size_t>(batch), f = static_cast<std::size_t>(features),
             k = static_cast<std::size_t>(classes);
  auto* w = rig.in(random_values(k * f, 1, 0, 0.1));
  auto *h = rig.out("features", b * f), *logits = rig.out("logits", b * k);
  auto* dlogits = rig.out("dlogits", b * k);
  auto* norm = rig.in(std::vector<float>(b, 0));
  rig.watch("norm", norm, b);
  SoftmaxKlArgs loss{.logits = logits, .dlogits = dlogits, .batch = batch, .classes = classes};
  loss.labels = rig.in(std::vector<std::int32_t>(b, classes - 1));
  loss.order = rig.in(some_order(batch));
  loss.state = rig.state(0, 0, 0);
  head_forward(rig.stream(), {rig.typed(dtype, random_values(b * 5 * f, 2)), w, rig.in(random_values(k, 3)),
                              h, logits, s, loss, norm});
  // The CPU's scratch memory is written there alone.
  head_backward(rig.stream(), {h, w, dlogits, rig.out<void>("dx", b * 5 * f, dtype), rig.out("dw", k * f),
                               rig.out("db", k), static_cast<float*>(rig.scratch(b * f * sizeof(float))), s});
}

std::vector<OpRun> every_run() {
  std::vector<OpRun> runs;
  for (const std::int32_t classes : {2, 10, 100, 1000, 1001, 2500})
    for (const std::int32_t batch : {1, 7})
      runs.push_back({fmt::format("softmax_kl_{}x{}", batch, classes), false,
                      [=](Rig& rig, DType) { run_softmax(rig, batch, classes); }});
  for (const auto& [rows, channels] : std::vector<std::pair<std::int64_t, std::int32_t>>{{5, 1},
                                                                                         {131, 3},
                                                                                         {300, 24},
                                                                                         {1000, 64},
                                                                                         {40000, 8},
                                                                                         {33, 520},
                                                                                         {16, 12},
                                                                                         {99 * 16, 24},
                                                                                         {125 * 16, 20}})
    runs.push_back({fmt::format("batchnorm_{}x{}", rows, channels), true,
                    [=, m = rows, c = channels](Rig& rig, DType dtype) { run_batchnorm(rig, dtype, m, c); }});
  for (const auto& [rows, channels] :
       std::vector<std::pair<std::int64_t, std::int32_t>>{{1, 3}, {300, 24}, {5000, 8}, {33, 520}})
    runs.push_back(
        {fmt::format("batchnorm_of_ranks_{}x{}", rows, channels), true,
         [=, m = rows, c = channels](Rig& rig, DType dtype) { run_batchnorm_of_ranks(rig, dtype, m, c); }});
  for (const std::int32_t channels : {3, 4, 8, 16})
    for (const Crop crop : {Crop::kCentre, Crop::kPadded, Crop::kResized})
      runs.push_back({fmt::format("augment_{}_{}", channels, static_cast<int>(crop)), true,
                      [=](Rig& rig, DType dtype) { run_augment(rig, dtype, channels, crop); }});
  for (const std::int32_t channels : {5, 64})
    runs.push_back({fmt::format("pool_{}", channels), true,
                    [=](Rig& rig, DType dtype) { run_pool(rig, dtype, channels); }});
  for (const std::int32_t channels : {5, 16})
    runs.push_back({fmt::format("max_pool_{}", channels), true,
                    [=](Rig& rig, DType dtype) { run_max_pool(rig, dtype, channels); }});
  for (const auto& [batch, features, classes] :
       {std::array{1, 64, 10}, {9, 37, 6}, {16, 72, 101}, {10, 520, 3}, {2, 8, 1030}})
    runs.push_back({fmt::format("head_{}x{}x{}", batch, features, classes), true,
                    [=, b = batch, f = features, k = classes](Rig& rig, DType dtype) {
                      run_head(rig, dtype, b, f, k);
                    }});
  for (const std::int32_t width : {5, 64, 515})
    runs.push_back({fmt::format("feature_norm_{}", width), false,
                    [=](Rig& rig, DType) { run_feature_norm(rig, width); }});
  runs.push_back({"sgd", true, run_sgd});
  runs.push_back({"accumulate", true, run_accumulate});
  runs.push_back({"elementwise", true, run_elementwise});
  runs.push_back({"advance", false, [](Rig& rig, DType) { run_step(rig); }});
  runs.push_back({"window_score", false, [](Rig& rig, DType) { run_window_score(rig); }});
  return runs;
}

// The largest allowed difference between simt and the CPU for an output whose largest value is `largest`.
// Integers must be equal.
double bound_of(DType dtype, double largest) {
  switch (dtype) {
    case DType::kF32:
      // Sums of up to 40,000 terms in fp32 partial sums of 512 terms, and of 128 on the CPU.
      return 1e-5 * largest;
    case DType::kF64:
      // The same 700 positive terms summed in two orders, each with a rounding of 2^-53 per term.
      return 2 * 700 * 0x1p-53 * largest;
    default:
      return 0;
  }
}

class SimtOpsTest : public testing::TestWithParam<OpRun> {
 protected:
  static RigRun run_with(DType dtype) {
    return [dtype](Rig& rig) { GetParam().run(rig, dtype); };
  }
  static std::vector<DType> types() {
    if (!GetParam().typed) return {DType::kF32};
    return {DType::kF32, DType::kF16, DType::kBf16};
  }
};

TEST_P(SimtOpsTest, EqualBitsInEveryOrderAndFill) {
  for (const DType dtype : types()) expect_equal_bits(run_with(dtype), to_string(dtype));
}

TEST_P(SimtOpsTest, AgreesWithTheCpu) {
  const std::vector<Output> simt = results_of(run_with(DType::kF32), DeviceKind::kSimt);
  const std::vector<Output> cpu = results_of(run_with(DType::kF32), DeviceKind::kCpu);
  ASSERT_EQ(simt.size(), cpu.size());
  for (std::size_t o = 0; o < simt.size(); ++o) {
    double largest = 0;
    for (std::size_t i = 0; i < cpu[o].count(); ++i) largest = std::max(largest, std::abs(cpu[o].value(i)));
    const double bound = bound_of(cpu[o].dtype, largest);
    for (std::size_t i = 0; i < cpu[o].count(); ++i)
      ASSERT_NEAR(simt[o].value(i), cpu[o].value(i), bound) << simt[o].name << "[" << i << "]";
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, SimtOpsTest, testing::ValuesIn(every_run()),
                         [](const auto& run) { return run.param.name; });

}  // namespace
}  // namespace tdds::test
