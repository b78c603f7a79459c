#include "engine/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/checkpoint.h"
#include "engine/evaluator.h"
#include "kernels/ops.h"
#include "kernels/philox.h"
#include "nets/resnet.h"

namespace tdds {
namespace {

constexpr int kClasses = 4;

// Images whose brightness gives the class away, with noise: learnt within a few epochs.
ImageSet bright_images(std::int64_t n) {
  ImageSet set{.height = 8, .width = 8, .images = {}, .labels = {}};
  for (std::int64_t i = 0; i < n; ++i) {
    const int label = static_cast<int>(i % kClasses);
    set.labels.push_back(label);
    for (int j = 0; j < 8 * 8 * 3; ++j)
      set.images.push_back(static_cast<std::uint8_t>(
          30 + 50 * label + scaled(philox(5, Purpose::kTest, 0, i * 1000 + j).w[0], 40)));
  }
  return set;
}

// Stands for a cache: images that are read one by one.
class FarImages : public ImageSource {
 public:
  explicit FarImages(ImageSet set) : set_(std::move(set)) {}
  void read(std::int64_t row, std::uint8_t* out) const override {
    check(row != damaged_row, "row {} is damaged", row);
    set_.read_image(row, out);
  }
  std::uint32_t checksum(std::int64_t row) const override { return static_cast<std::uint32_t>(row); }
  Sums sums(std::int64_t) const override { return {}; }

  std::int64_t damaged_row = -1;

 private:
  ImageSet set_;
};

ImageSet on_the_disk(const ImageSet& set, std::int64_t damaged_row = -1) {
  const auto far = std::make_shared<FarImages>(set);
  far->damaged_row = damaged_row;
  return {.height = set.height, .width = set.width, .images = {}, .labels = set.labels, .source = far};
}

// A run of its own, from the device up.
struct SmallRun {
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Net> net;
  PassPool pool;
  ResidentSet set;
  Trainer trainer;

  explicit SmallRun(const TrainOptions& options, StreamMode mode = StreamMode::kImmediate,
                    std::int64_t samples = 26, bool on_disk = false, const DeviceOptions& device_options = {})
      : device(make_device(DeviceKind::kCpu, device_options)),
        stream(device->make_stream(mode)),
        net(make_net(*device, *stream, options.compute)),
        pool(*device, *net),
        set(*device, *stream, on_disk ? on_the_disk(bright_images(samples)) : bright_images(samples),
            {0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}),
        trainer(*device, *stream, *net, pool, set, options) {
    pool.place();
  }

  static std::unique_ptr<Net> make_net(Device& device, Stream& stream, DType compute) {
    ResNetSpec spec;
    spec.classes = kClasses;
    spec.width = 0.125;
    spec.image_size = 8;
    auto made = make_resnet(spec);
    made->params().place(device, stream, compute);
    made->params().initialize(stream, 3);
    return made;
  }

  // The first and the last epoch of the whole run.
  struct Learnt {
    EpochRecord first, last;
  };
  Learnt learn() {
    Learnt learnt;
    learnt.first = epoch();
    while (!trainer.done()) learnt.last = epoch();
    return learnt;
  }

  EpochRecord epoch() {
    while (trainer.cursor() < trainer.samples()) trainer.step();
    return trainer.end_epoch();
  }

  std::vector<std::byte> weights() {
    std::vector<std::byte> all;
    for (int i = 0; i < static_cast<int>(net->params().list().size()); ++i) {
      const std::vector<std::byte> one = net->params().download(*stream, i);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
};

TrainOptions options(int epochs = 3) {
  TrainOptions o;
  o.batch = 8;  // 26 samples: three full batches and one of 2
  o.epochs = epochs;
  o.learning_rate = 0.02;
  o.dynamics = true;
  return o;
}

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
  // Before the first update the losses differ by rounding alone: 2^-8 in each of 18 layers.
  const double wanted = first_batch_loss(fp32.first, o.batch);
  EXPECT_NEAR(first_batch_loss(bf16.first, o.batch), wanted, 18 * 0x1p-8 * wanted);
  EXPECT_NE(first_batch_loss(bf16.first, o.batch), wanted);
  EXPECT_EQ(again.learn().last.values.loss, bf16.last.values.loss);
  EXPECT_EQ(again.weights(), run.weights());
}

TEST(TrainerTest, ImagesFromTheDiskTrainToTheSameBits) {
  for (const StreamMode mode : {StreamMode::kImmediate, StreamMode::kDeferred}) {
    SmallRun memory(options(), mode), disk(options(), mode, 26, /*on_disk=*/true);
    PassPool memory_pool(*memory.device, *memory.net), disk_pool(*disk.device, *disk.net);
    Evaluator in_memory(*memory.device, *memory.stream, *memory.net, memory_pool, memory.set, 8, DType::kF32);
    Evaluator on_disk(*disk.device, *disk.stream, *disk.net, disk_pool, disk.set, 8, DType::kF32);
    memory_pool.place();
    disk_pool.place();
    std::int64_t allocations = 0;
    for (int e = 0; e < 3; ++e) {
      const EpochRecord a = memory.epoch(), b = disk.epoch();
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
  BatchFeeder feeder(*device, *stream, *set.source, set.image_bytes(), 8);
  std::vector<std::int32_t> order(26);
  for (std::int32_t i = 0; i < 26; ++i) order[static_cast<std::size_t>(i)] = i;
  feeder.start(order, 0);
  feeder.feed();
  EXPECT_THROW(feeder.feed(), Error);
  feeder.start(order, 16);
  feeder.feed();
  std::vector<std::uint8_t> want(static_cast<std::size_t>(set.image_bytes()));
  set.read_image(17, want.data());
  EXPECT_TRUE(std::equal(want.begin(), want.end(), feeder.images() + set.image_bytes()));
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

// Loss and logits of the same visit agree: what the official .npy files hold is consistent.
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
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "tdds_trainer_test.safetensors";
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
  std::filesystem::remove(path);
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

// Weights of 1 change nothing, weights of 0 leave weight decay alone to act: w falls by the factor of
// PyTorch's rule.
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

// Two micro-batches move the weights by the mean of what each alone moves them by; 5 = 3 + 2 by the weighted one.
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
      // Weights below 1 are rounded by 3e-8 each time. Halves of a gradient are exact; three fifths are rounded anew in
      // the loss, and batch norm over so few values magnifies that.
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
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / "tdds_accumulate_test.safetensors";
  for (int i = 0; i < 2; ++i) stopped.trainer.step();
  EXPECT_EQ(stopped.trainer.cursor(), 16);
  stopped.trainer.read_state();
  save_checkpoint(path, *stopped.stream, stopped.net->params(), stopped.trainer, {});
  load_checkpoint(path, *resumed.stream, resumed.net->params(), resumed.trainer);
  std::filesystem::remove(path);
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

// A loss scale that overflows every gradient, as fp16's can: each step is skipped, and the epoch says so.
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

TEST(TrainerTest, OptionsThatCannotBeAreRefused) {
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

TEST(CheckpointTest, AModelOfAnotherShapeIsRefusedAndNothingChanges) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / "tdds_checkpoint_test.safetensors";
  SmallRun run(options());
  save_model(path, *run.stream, run.net->params(), {});
  ResNetSpec spec;
  spec.classes = kClasses;
  spec.width = 0.25;
  auto other = make_resnet(spec);
  other->params().place(*run.device, *run.stream, DType::kF32);
  EXPECT_THROW(load_model(path, *run.stream, other->params()), Error);
  EXPECT_THROW(load_checkpoint(path, *run.stream, run.net->params(), run.trainer), Error);
  const std::vector<std::byte> before = run.weights();
  load_model(path, *run.stream, run.net->params());
  EXPECT_EQ(run.weights(), before);
  std::filesystem::remove(path);
}

TEST(EvaluatorTest, CountsEverySampleOnceWhateverTheBatch) {
  SmallRun run(options(1));
  run.epoch();
  PassPool pool(*run.device, *run.net);
  Evaluator one(*run.device, *run.stream, *run.net, pool, run.set, 26, DType::kF32);
  Evaluator many(*run.device, *run.stream, *run.net, pool, run.set, 4, DType::kF32);
  pool.place();
  const Evaluation a = one.run(), b = many.run(), again = many.run();
  EXPECT_NEAR(a.loss, b.loss, 1e-5 * a.loss);
  EXPECT_EQ(a.accuracy, b.accuracy);
  EXPECT_EQ(b.loss, again.loss);
}

TEST(EvaluatorTest, FeaturesAreWhatTheLastLayerReads) {
  SmallRun run(options(1));
  run.epoch();
  PassPool pool(*run.device, *run.net);
  Evaluator evaluator(*run.device, *run.stream, *run.net, pool, run.set, 8, DType::kF32);
  pool.place();
  const std::vector<float> features = evaluator.features();
  const auto width = static_cast<std::size_t>(run.net->features());
  ASSERT_EQ(features.size(), 26 * width);
  const auto as_floats = [&](std::size_t from_the_end) {
    const auto index = static_cast<int>(run.net->params().list().size() - from_the_end);
    const std::vector<std::byte> bytes = run.net->params().download(*run.stream, index);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  };
  const std::vector<float> weight = as_floats(2), bias = as_floats(1);
  const ImageSet images = bright_images(26);
  double loss = 0;
  for (std::size_t i = 0; i < 26; ++i) {
    double z[kClasses], sum = 0;
    for (std::size_t c = 0; c < kClasses; ++c) {
      z[c] = bias[c];
      for (std::size_t f = 0; f < width; ++f) z[c] += double(weight[c * width + f]) * features[i * width + f];
      sum += std::exp(z[c]);
    }
    loss += (std::log(sum) - z[images.labels[i]]) / 26;
  }
  EXPECT_NEAR(evaluator.run().loss, loss, 1e-5 * loss);
}

// A training pass of our own on the same images in the same order, before the trainer's first step.
TEST(TrainerTest, FeatureNormsAreThoseOfTheFeatures) {
  constexpr std::int32_t kSamples = 26;
  TrainOptions o = options(1);
  o.batch = kSamples;
  o.crop = Crop::kCentre;
  o.shuffle = false;
  o.feature_norm = true;
  SmallRun run(o);
  PassPool pool(*run.device, *run.net);
  Pass& pass = pool.add({.batch = kSamples});
  pool.place();
  std::vector<std::int32_t> ids(kSamples);
  for (std::int32_t i = 0; i < kSamples; ++i) ids[static_cast<std::size_t>(i)] = i;
  const DeviceMemory state(*run.device, sizeof(StepState), "a state"),
      order(*run.device, 4 * ids.size(), "ids");
  run.stream->zero(state.data(), state.bytes());
  run.stream->upload(order.data(), ids.data(), order.bytes());
  run.device->ops().augment(*run.stream, {.images = run.set.images(),
                                          .order = order.get<std::int32_t>(),
                                          .state = state.get<StepState>(),
                                          .table = run.set.table(),
                                          .aspects = nullptr,
                                          .x = pass.input().data,
                                          .dtype = DType::kF32,
                                          .batch = kSamples,
                                          .height = 8,
                                          .width = 8,
                                          .out_height = 8,
                                          .out_width = 8,
                                          .channels_out = 3,
                                          .crop = Crop::kCentre,
                                          .padding = 0,
                                          .seed = 0});
  pass.forward(*run.stream);
  const auto width = static_cast<std::size_t>(run.net->features());
  std::vector<float> features(ids.size() * width);
  run.stream->download(features.data(), pass.features(), features.size() * sizeof(float));
  run.stream->synchronize();
  const EpochRecord record = run.epoch();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    double squares = 0;
    for (std::size_t f = 0; f < width; ++f)
      squares += double(features[i * width + f]) * features[i * width + f];
    EXPECT_NEAR(record.values.feature_norm[i], std::sqrt(squares), 1e-5 * std::sqrt(squares)) << i;
  }
}

}  // namespace
}  // namespace tdds
