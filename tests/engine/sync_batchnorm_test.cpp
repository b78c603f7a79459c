// Trainings whose ranks share the statistics of batch norm, step by step: what they record has equal bits on
// all ranks, and is that of one process up to rounding.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <optional>
#include <span>

#include "engine/data_parallel.h"
#include "engine/trainer.h"
#include "tests/engine/small_run.h"
#include "tests/engine/thread_ranks.h"

namespace tdds {
namespace {

using namespace test;

struct Setting {
  TrainOptions train;
  std::int64_t samples = 28;
  DeviceKind kind = DeviceKind::kCpu;
  StreamMode mode = StreamMode::kImmediate;
  Branches branches = Branches::kBeside;
  OwnConvolutions own = OwnConvolutions::kNever;
  double width = 0.125;
  bool sync = true;
};

// The first epoch of a training.
struct Learnt {
  EpochRecord epoch;
  std::vector<float> weights, running;
  std::size_t commands = 0;
  std::vector<ConvolutionPlan> plans;
};

Learnt learn(const Setting& setting, Ranks* ranks) {
  std::optional<DataParallel> parallel;
  if (ranks) parallel.emplace(*ranks, ExchangeOptions{.sync_batchnorm = setting.sync});
  DataParallel* const shared = parallel ? &*parallel : nullptr;
  SmallRun run(setting.train,
               make_device(setting.kind, {.own_convolutions = setting.own, .branches = setting.branches}),
               setting.mode, setting.samples, false, setting.width, shared);
  if (shared) shared->connect(*run.device);
  Learnt learnt;
  learnt.epoch = run.epoch();
  const Params& params = run.net->params();
  for (const Params::Range& range : {params.filters(), params.vectors()}) {
    std::vector<float> one(static_cast<std::size_t>(range.n));
    run.stream->download(one.data(), range.w, one.size() * sizeof(float));
    run.stream->synchronize();
    learnt.weights.insert(learnt.weights.end(), one.begin(), one.end());
  }
  const std::span<float> running = params.all_running();
  learnt.running.assign(running.begin(), running.end());  // a host's memory
  learnt.commands = run.trainer.commands();
  learnt.plans = run.trainer.plans();
  parallel.reset();  // before the device
  return learnt;
}

std::vector<Learnt> learn_on(int size, const Setting& setting) {
  return results_of_ranks(size, [&](Ranks& ranks) { return learn(setting, &ranks); });
}

Setting setting_of(std::int32_t batch, std::int64_t samples) {
  Setting setting{.train = options(1), .samples = samples};
  setting.train.batch = batch;
  setting.train.visit_logits = true;
  return setting;
}

double norm(const std::vector<float>& values) {
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  return std::sqrt(squares);
}
// || a - b || / || b ||
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  std::vector<float> difference(b.size());
  for (std::size_t i = 0; i < b.size(); ++i) difference[i] = a[i] - b[i];
  return norm(difference) / norm(b);
}

void expect_equal_on_all(const std::vector<Learnt>& ranks) {
  for (const Learnt& rank : ranks) {
    EXPECT_EQ(rank.epoch.visit_logits, ranks[0].epoch.visit_logits);
    EXPECT_EQ(rank.epoch.values.loss, ranks[0].epoch.values.loss);
    EXPECT_EQ(rank.weights, ranks[0].weights);
  }
}

// The logits of the first `images` images: those of the first step, before any rounding can grow.
std::vector<float> first_logits(const Learnt& learnt, std::int32_t images) {
  const std::vector<float>& all = learnt.epoch.visit_logits;
  return {all.begin(), all.begin() + std::ptrdiff_t{images} * kClasses};
}

// `tolerance` is of the logits of the first step, relative to their norm. From step to step rounding grows,
// and flips ReLUs, so later results need only be much nearer to one process than with the statistics of
// slices; tests/nets/sync_batchnorm_test.cpp compares gradients closely.
void expect_as_one_process(int size, Setting setting, const Learnt& alone, double tolerance) {
  SCOPED_TRACE(fmt::format("{} images by {} ranks", setting.train.batch, size));
  const std::vector<Learnt> ranks = learn_on(size, setting);
  expect_equal_on_all(ranks);
  const std::int32_t images = setting.train.batch / setting.train.accumulate;
  const double first = distance(first_logits(ranks[0], images), first_logits(alone, images));
  std::printf("%d ranks, logits of the first step: %.1e\n", size, first);
  EXPECT_LE(first, tolerance);
  setting.sync = false;
  const Learnt apart = learn_on(2, setting)[0];
  const auto compare = [&](const char* what, const auto& of) {
    const double got = distance(of(ranks[0]), of(alone)), slices = distance(of(apart), of(alone));
    std::printf("%d ranks, %s: %.1e, and %.1e with the statistics of slices\n", size, what, got, slices);
    EXPECT_LE(got, slices / 20) << what;
  };
  compare("logits", [](const Learnt& one) { return one.epoch.visit_logits; });
  compare("weights", [](const Learnt& one) { return one.weights; });
  compare("running statistics", [](const Learnt& one) { return one.running; });
}

// As in the goldens.
constexpr double kTensor = 1e-5;

// Three steps. Slices of 12: by 2, 6 and 6; by 4, four of 3; and of the last 4, four of 1. Of 11: by 2, 6 and
// 5; by 4, three of 3 and 2; and of the last 5, 2, 2, 1 and nothing.
TEST(SyncBatchNormTest, AnEpochIsThatOfOneProcess) {
  for (const auto& [batch, samples] : {std::pair{12, 28}, std::pair{11, 27}}) {
    const Setting setting = setting_of(batch, samples);
    const Learnt alone = learn(setting, nullptr);
    for (const int size : {2, 4}) expect_as_one_process(size, setting, alone, kTensor);
  }
}

// One step of two parts, each by 3 ranks as 3, 3 and 2.
TEST(SyncBatchNormTest, PartsOfABatchHaveTheirOwnStatistics) {
  Setting setting = setting_of(16, 16);
  setting.train.accumulate = 2;
  expect_as_one_process(3, setting, learn(setting, nullptr), kTensor);
}

TEST(SyncBatchNormTest, OneRankHasTheStatisticsOfTheBatch) {
  const Setting setting = setting_of(12, 28);
  const Learnt rank = learn_on(1, setting)[0], alone = learn(setting, nullptr);
  EXPECT_LE(distance(first_logits(rank, 12), first_logits(alone, 12)), kTensor);
}

TEST(SyncBatchNormTest, ReplayedAndEagerStepsHaveEqualBits) {
  Setting setting = setting_of(8, 27);  // the last of 4 ranks has nothing of the last batch
  const std::vector<Learnt> replayed = learn_on(4, setting);
  setting.train.record_steps = false;
  EXPECT_EQ(learn_on(4, setting)[0].weights, replayed[0].weights);
}

// On a CPU, the recorded step has four commands more for each of the 20 batch norms: in each direction, one
// that leaves what the others need, and one that gathers it.
TEST(SyncBatchNormTest, AStepHasTwoCommandsMoreForEachBatchNormAndDirection) {
  Setting setting = setting_of(6, 28);
  const Learnt with = learn_on(2, setting)[0];
  setting.sync = false;
  EXPECT_EQ(with.commands, learn_on(2, setting)[0].commands + 4 * 20);
}

// On simt, as late as it may be, with filter gradients on a branch.
TEST(SyncBatchNormTest, GpuKernelsTrainAsOneProcess) {
  Setting setting = setting_of(6, 10);
  setting.kind = DeviceKind::kSimt;
  setting.mode = StreamMode::kDeferred;
  setting.branches = Branches::kAtJoin;
  expect_as_one_process(3, setting, learn(setting, nullptr), kTensor);
}

// The GPU's own convolutions leave what batch norm needs of a rank's rows in groups.
TEST(SyncBatchNormTest, OwnConvolutionsTrainAsOneProcess) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "it takes minutes with sanitizers; tests/engine/own_convolutions_test.cpp runs the kernels";
#endif
  Setting setting = setting_of(8, 8);
  setting.kind = DeviceKind::kSimt;
  setting.own = OwnConvolutions::kAlways;
  setting.width = 0.25;
  setting.train.compute = DType::kF16;
  setting.train.loss_scale = 1024;
  const Learnt alone = learn(setting, nullptr);
  EXPECT_THAT(to_string(alone.plans), testing::HasSubstr("own "));
  // A few of the roundings to fp16 that the activations take.
  expect_as_one_process(2, setting, alone, 4 * 0x1p-11);
}

}  // namespace
}  // namespace tdds
