#include "engine/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "engine/checkpoint.h"
#include "engine/evaluator.h"
#include "engine/io/files.h"
#include "kernels/ops/augment.h"
#include "tests/engine/small_run.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using namespace test;

TEST(TrainerTest, LearnsAnEasyTask) {
  TrainOptions o = options(15);
  o.crop = Crop::kCentre;  // crops of 8x8 images would hide their brightness
  const SmallRun::Learnt learnt = SmallRun(o).learn();
  EXPECT_LT(learnt.last.loss, 0.5 * learnt.first.loss);
  EXPECT_GT(learnt.last.accuracy, 0.75);
}

double first_batch_loss(const EpochRecord& record, std::int32_t batch) {
  double sum = 0;
  for (std::int32_t i = 0; i < batch; ++i) sum += record.values.loss[record.order[i]];
  return sum / batch;
}

TEST(TrainerTest, LearnsInBf16AndTwoRunsAreEqualBitForBit) {
  if (!host_has_bf16()) GTEST_SKIP() << "this CPU has no avx512_bf16";
  TrainOptions o = options(15);
  o.crop = Crop::kCentre;
  const SmallRun::Learnt fp32 = SmallRun(o).learn();
  o.compute = DType::kBf16;
  SmallRun run(o), again(o);
  const SmallRun::Learnt bf16 = run.learn();
  EXPECT_LT(bf16.last.loss, 0.5 * bf16.first.loss);
  EXPECT_GT(bf16.last.accuracy, 0.75);
  // Before the first update, the losses differ only by rounding: 2^-8 in each of 18 layers.
  const double wanted = first_batch_loss(fp32.first, o.batch);
  EXPECT_NEAR(first_batch_loss(bf16.first, o.batch), wanted, 18 * 0x1p-8 * wanted);
  EXPECT_NE(first_batch_loss(bf16.first, o.batch), wanted);
  EXPECT_EQ(again.learn().last.values.loss, bf16.last.values.loss);
  EXPECT_EQ(again.weights(), run.weights());
}

class ImagesFromTheDiskTest : public testing::TestWithParam<DeviceKind> {};
INSTANTIATE_TEST_SUITE_P(devices, ImagesFromTheDiskTest, testing::Values(DeviceKind::kCpu, DeviceKind::kSimt),
                         [](const auto& param) { return std::string(to_string(param.param)); });

TEST_P(ImagesFromTheDiskTest, TrainToTheSameBits) {
  const TrainOptions o = options(GetParam() == DeviceKind::kCpu ? 3 : 1);
  for (const StreamMode mode : {StreamMode::kImmediate, StreamMode::kDeferred}) {
    SmallRun memory(o, mode, 26, /*on_disk=*/false, {}, GetParam()),
        disk(o, mode, 26, /*on_disk=*/true, {}, GetParam());
    PassPool memory_pool(*memory.device, *memory.net), disk_pool(*disk.device, *disk.net);
    Evaluator in_memory(*memory.device, *memory.stream, *memory.net, memory_pool, memory.set, 8, DType::kF32);
    Evaluator on_disk(*disk.device, *disk.stream, *disk.net, disk_pool, disk.set, 8, DType::kF32);
    memory_pool.place();
    disk_pool.place();
    std::int64_t allocations = 0;
    for (int e = 0; e < o.epochs; ++e) {
      const EpochRecord a = memory.epoch(), b = disk.epoch();
      EXPECT_EQ(a.values.loss, b.values.loss);
      EXPECT_EQ(a.values.kl, b.values.kl);
      EXPECT_EQ(a.order, b.order);
      EXPECT_EQ(in_memory.run().loss, on_disk.run().loss);
      if (e == 0) allocations = disk.device->allocations();
    }
    EXPECT_EQ(memory.weights(), disk.weights());
    EXPECT_EQ(disk.device->allocations(), allocations);
    EXPECT_GE(disk.trainer.waited_for_data(), 0);
    EXPECT_EQ(memory.trainer.waited_for_data(), 0);
  }
}

TEST(TrainerTest, DamageOnTheDiskStopsTheStep) {
  const auto device = make_device(DeviceKind::kCpu);
  const auto stream = device->make_stream();
  const ImageSet set = on_the_disk(bright_images(26), 11);
  BatchPrefetcher prefetcher(*device, *stream, *set.source, set.image_bytes(), 8);
  std::vector<std::int32_t> order(26);
  for (std::int32_t i = 0; i < 26; ++i) order[static_cast<std::size_t>(i)] = i;
  prefetcher.start(order, 0);
  prefetcher.feed();
  EXPECT_THROW(prefetcher.feed(), Error);
  prefetcher.start(order, 16);
  prefetcher.feed();
  std::vector<std::uint8_t> want(static_cast<std::size_t>(set.image_bytes()));
  set.read_image(17, want.data());
  EXPECT_TRUE(std::equal(want.begin(), want.end(), prefetcher.images() + set.image_bytes()));
}

TEST(TrainerTest, RecordedStepsEqualEagerOnesBitForBit) {
  TrainOptions eager = options();
  eager.record_steps = false;
  SmallRun a(options()), b(eager);
  for (int e = 0; e < 3; ++e) {
    const EpochRecord ra = a.epoch(), rb = b.epoch();
    EXPECT_EQ(ra.loss, rb.loss);
    EXPECT_EQ(ra.values.kl, rb.values.kl);
  }
  EXPECT_EQ(a.weights(), b.weights());
}

TEST(TrainerTest, TheLatestPossibleExecutionGivesTheSameBits) {
  SmallRun a(options()), b(options(), StreamMode::kDeferred);
  for (int e = 0; e < 3; ++e) EXPECT_EQ(a.epoch().values.loss, b.epoch().values.loss);
  EXPECT_EQ(a.weights(), b.weights());
}

TEST(TrainerTest, StepsAllocateNothing) {
  SmallRun run(options());
  const std::int64_t before = run.device->allocations();
  run.epoch();
  run.epoch();
  EXPECT_EQ(run.device->allocations(), before);
}

TEST(TrainerTest, DynamicsAreByRowAndTheFirstEpochHasNoKl) {
  SmallRun run(options());
  const EpochRecord first = run.epoch();
  for (float kl : first.values.kl) EXPECT_EQ(kl, 0.0f);
  const EpochRecord second = run.epoch();
  double sum = 0;
  for (std::size_t i = 0; i < second.values.kl.size(); ++i) {
    EXPECT_GT(second.values.kl[i], 0.0f);
    EXPECT_TRUE(std::isfinite(second.values.kl[i]));
    sum += second.values.loss[i];
  }
  EXPECT_NEAR(second.loss, sum / 26, 1e-6);
  EXPECT_NE(first.order, second.order);
}

// Loss and logits of the same visit agree, so the official .npy files are consistent.
TEST(TrainerTest, VisitLogitsGiveTheRecordedLosses) {
  TrainOptions o = options(1);
  o.visit_logits = true;
  SmallRun run(o);
  const EpochRecord record = run.epoch();
  const ImageSet images = bright_images(26);
  ASSERT_EQ(record.visit_logits.size(), 26u * kClasses);
  for (std::size_t v = 0; v < record.order.size(); ++v) {
    const float* z = record.visit_logits.data() + v * kClasses;
    double sum = 0;
    for (int c = 0; c < kClasses; ++c) sum += std::exp(double(z[c]));
    const std::int32_t row = record.order[v];
    EXPECT_NEAR(record.values.loss[row], std::log(sum) - z[images.labels[row]], 1e-5);
  }
}

// A checkpoint within an epoch and one between epochs continue bit for bit.
TEST(TrainerTest, ResumesBitForBitFromAnyStep) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  for (int stop_step : {2, 4}) {
    TrainOptions o = options();
    o.feature_norm = true;
    SmallRun whole(o), stopped(o), resumed(o);
    for (int i = 0; i < 4 + stop_step; ++i) {  // 4 steps an epoch
      if (stopped.trainer.cursor() == stopped.trainer.samples()) stopped.trainer.end_epoch();
      stopped.trainer.step();
    }
    stopped.trainer.read_state();
    save_checkpoint(path, *stopped.stream, stopped.net->params(), stopped.trainer, {{"note", "kept"}});
    const Metadata metadata = load_checkpoint(path, *resumed.stream, resumed.net->params(), resumed.trainer);
    EXPECT_EQ(metadata.at("note"), "kept");
    EXPECT_EQ(resumed.trainer.epoch(), 1);
    whole.epoch();
    while (!whole.trainer.done()) {
      const EpochRecord a = whole.epoch(), b = resumed.epoch();
      EXPECT_EQ(a.values.loss, b.values.loss);
      EXPECT_EQ(a.values.kl, b.values.kl);
      EXPECT_EQ(a.values.true_kl, b.values.true_kl);
      EXPECT_EQ(a.values.feature_norm, b.values.feature_norm);
      EXPECT_EQ(a.order, b.order);
      EXPECT_EQ(a.loss, b.loss);
    }
    EXPECT_EQ(whole.weights(), resumed.weights());
  }
}

TEST(TrainerTest, TrainsOnASubsetAndLeavesTheRestAlone) {
  TrainOptions o = options(1);
  o.subset = {3, 5, 7, 11, 13, 17};
  SmallRun run(o);
  const EpochRecord record = run.epoch();
  EXPECT_EQ(record.order.size(), 6u);
  for (std::int32_t row = 0; row < 26; ++row) {
    const bool in = std::find(o.subset.begin(), o.subset.end(), row) != o.subset.end();
    EXPECT_EQ(record.values.loss[row] > 0, in) << row;
  }
}

// Weights of 1 change nothing. With weights of 0, only weight decay acts: w falls by the factor of PyTorch's
// rule.
TEST(TrainerTest, SampleWeightsScaleTheGradientAndNotTheDecay) {
  TrainOptions plain = options(1), ones = options(1), zeros = options(1);
  ones.weights.assign(26, 1.0f);
  zeros.weights.assign(26, 0.0f);
  zeros.batch = 26;
  zeros.weight_decay = 0.1;
  SmallRun a(plain), b(ones), c(zeros);
  const std::vector<std::byte> before = c.weights();
  a.epoch();
  b.epoch();
  c.epoch();
  EXPECT_EQ(a.weights(), b.weights());
  float w0, w1;
  std::memcpy(&w0, before.data(), 4);
  std::memcpy(&w1, c.weights().data(), 4);
  EXPECT_NEAR(w1 / w0, 1 - 0.02 * 0.1 * (1 + 0.9), 1e-6);
}

// The float32 weights as one vector.
std::vector<float> floats_of(SmallRun& run) {
  const std::vector<std::byte> bytes = run.net->params().download(*run.stream, 0);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Two micro-batches change the weights by the mean of their single changes; 5 = 3 + 2 by the weighted mean.
TEST(TrainerTest, AccumulatesTheGradientsOfItsMicroBatches) {
  TrainOptions o = options(1);
  o.crop = Crop::kCentre;
  o.shuffle = o.nesterov = false;
  o.momentum = o.weight_decay = 0;
  for (const std::vector<std::int32_t>& rows : {std::vector{0, 1, 2, 3, 4, 5}, std::vector{0, 1, 2, 3, 4}}) {
    const auto n = static_cast<std::int32_t>(rows.size());
    TrainOptions both = o, one = o, two = o;
    both.batch = 6;
    both.accumulate = 2;
    both.subset = rows;
    one.batch = two.batch = 3;
    one.subset.assign(rows.begin(), rows.begin() + 3);
    two.subset.assign(rows.begin() + 3, rows.end());
    SmallRun a(both), b(one), c(two);
    const std::vector<float> before = floats_of(a);
    a.epoch();
    b.epoch();
    c.epoch();
    const std::vector<float> got = floats_of(a), first = floats_of(b), second = floats_of(c);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double want = (3.0 * (first[i] - before[i]) + (n - 3.0) * (second[i] - before[i])) / n;
      // Weights below 1 are rounded by 3e-8 each time. Halves of a gradient are exact; three fifths are
      // rounded again in the loss, and batch norm over so few values magnifies that.
      const double magnified = n == 6 ? 0 : 1e-4 * std::abs(want);
      ASSERT_NEAR(got[i] - before[i], want, 1.5e-7 + magnified) << i;
    }
    EXPECT_EQ(a.trainer.steps_per_epoch(), 1);
  }
}

// 26 samples in batches of 8 of two parts: 4 + 4, 4 + 4, 4 + 4, 2.
TEST(TrainerTest, AccumulatedStepsAreRecordedAndResumedBitForBit) {
  TrainOptions o = options();
  o.accumulate = 2;
  o.label_smoothing = 0.1f;
  o.schedule = {.decay = Decay::kStep, .warmup_epochs = 1, .step_epochs = 2};
  o.weights.assign(26, 0.5f);
  TrainOptions eager = o;
  eager.record_steps = false;
  SmallRun a(o), b(eager), deferred(o, StreamMode::kDeferred), stopped(o), resumed(o);
  const test::TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  for (int i = 0; i < 2; ++i) stopped.trainer.step();
  EXPECT_EQ(stopped.trainer.cursor(), 16);
  stopped.trainer.read_state();
  save_checkpoint(path, *stopped.stream, stopped.net->params(), stopped.trainer, {});
  load_checkpoint(path, *resumed.stream, resumed.net->params(), resumed.trainer);
  for (int e = 0; e < 3; ++e) {
    const EpochRecord want = a.epoch();
    EXPECT_EQ(want.values.kl, b.epoch().values.kl);
    EXPECT_EQ(want.values.kl, deferred.epoch().values.kl);
    EXPECT_EQ(want.values.loss, resumed.epoch().values.loss);
  }
  EXPECT_EQ(a.weights(), b.weights());
  EXPECT_EQ(a.weights(), deferred.weights());
  EXPECT_EQ(a.weights(), resumed.weights());
}

TEST(TrainerTest, ALossThatIsNotFiniteIsAnError) {
  TrainOptions o = options(2);
  o.learning_rate = 1e30;
  SmallRun run(o);
  EXPECT_THROW(
      {
        run.epoch();
        run.epoch();
      },
      Error);
}

// A loss scale that overflows every gradient, as can happen in fp16: each step is skipped, which is an error.
TEST(TrainerTest, AnEpochWhoseStepsAreAllSkippedIsAnError) {
  TrainOptions o = options(2);
  o.loss_scale = 3e38f;
  SmallRun run(o);
  const std::vector<std::byte> before = run.weights();
  try {
    run.epoch();
    FAIL() << "nothing was learnt, and nothing was said";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("all 4 steps of epoch 0 were skipped"), std::string::npos)
        << error.what();
  }
  const std::vector<Param>& params = run.net->params().list();
  std::size_t at = 0;
  const std::vector<std::byte> after = run.weights();
  for (std::size_t i = 0; i < params.size(); ++i) {
    const std::size_t bytes = run.net->params().download(*run.stream, static_cast<int>(i)).size();
    if (params[i].kind != ParamKind::kRunning && params[i].kind != ParamKind::kCounter) {
      EXPECT_EQ(std::memcmp(before.data() + at, after.data() + at, bytes), 0) << params[i].name;
    }
    at += bytes;
  }
}

TEST(TrainerTest, DebugSyncRunsEveryStepAtOnceAndGivesTheSameBits) {
  SmallRun a(options()), b(options(), StreamMode::kDeferred, 26, false, {.debug_sync = true});
  for (int e = 0; e < 3; ++e) EXPECT_EQ(a.epoch().values.loss, b.epoch().values.loss);
  EXPECT_EQ(a.weights(), b.weights());
}

TEST(TrainerTest, InvalidOptionsAreRefused) {
  TrainOptions one_left = options();
  one_left.batch = 25;
  EXPECT_THROW(SmallRun{one_left}, Error);
  TrainOptions outside = options();
  outside.subset = {26};
  EXPECT_THROW(SmallRun{outside}, Error);
  TrainOptions tiny = options();
  tiny.batch = 1;
  EXPECT_THROW(SmallRun{tiny}, UsageError);
  TrainOptions parts = options();
  parts.accumulate = 3;
  EXPECT_THROW(SmallRun{parts}, UsageError);
  TrainOptions smooth = options();
  smooth.label_smoothing = 1;
  EXPECT_THROW(SmallRun{smooth}, UsageError);
}

// Weights that are not finite do not replace a good file.
TEST(TrainerTest, WeightsThatAreNotFiniteAreNotSaved) {
  SmallRun run(options());
  const TemporaryFolder folder;
  const std::string model = folder / "model.safetensors", checkpoint = folder / "checkpoint.safetensors";
  save_model(model, *run.stream, run.net->params(), {});
  save_checkpoint(checkpoint, *run.stream, run.net->params(), run.trainer, {});
  const std::string model_before = read_file(model, 1 << 24),
                    checkpoint_before = read_file(checkpoint, 1 << 24);
  std::vector<std::byte> bytes = run.net->params().download(*run.stream, 0);
  const float infinite = std::numeric_limits<float>::infinity();
  std::memcpy(bytes.data() + bytes.size() - sizeof(float), &infinite, sizeof(float));
  run.net->params().upload(*run.stream, 0, bytes);
  const auto says = testing::ThrowsMessage<Error>(testing::HasSubstr("conv1.weight is no longer finite"));
  EXPECT_THAT([&] { save_model(model, *run.stream, run.net->params(), {}); }, says);
  EXPECT_THAT([&] { save_checkpoint(checkpoint, *run.stream, run.net->params(), run.trainer, {}); }, says);
  EXPECT_EQ(read_file(model, 1 << 24), model_before);
  EXPECT_EQ(read_file(checkpoint, 1 << 24), checkpoint_before);
}

// 25 samples in batches of 8 leave a batch of one. Only a network whose last map is larger than one pixel
// can train on it, and this one's is not.
TEST(TrainerTest, ALastBatchOfOneIsRefusedWhereBatchNormSeesASinglePixel) {
  EXPECT_THAT([] { SmallRun(options(), StreamMode::kImmediate, 25); },
              testing::ThrowsMessage<UsageError>(testing::HasSubstr("leaves layer4.0.bn1 a single value")));
  EXPECT_EQ(batch_sizes(25, 8), (std::vector<std::int32_t>{8, 1}));
}

}  // namespace
}  // namespace tdds
