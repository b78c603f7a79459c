// Ranks compute slices of each batch, and have everything that follows from the logits with equal bits.

#include "engine/data_parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/evaluator.h"
#include "engine/trainer.h"
#include "tests/engine/small_run.h"
#include "tests/engine/thread_ranks.h"

namespace tdds {
namespace {

using namespace test;

TEST(BatchSliceTest, SlotsHoldABatchWithoutGaps) {
  for (const int ranks : {1, 2, 3, 4, 7})
    for (std::int32_t batch = 1; batch < 40; ++batch) {
      std::int32_t next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const BatchSlice slice = slice_of(batch, rank, ranks);
        EXPECT_EQ(slice.first, next);
        EXPECT_GE(slice.count, 0);
        EXPECT_LE(slice.count, slot_size(batch, ranks));
        EXPECT_TRUE(slice.count == 0 || slice.first == rank * slot_size(batch, ranks));
        next += slice.count;
      }
      EXPECT_EQ(next, batch) << ranks;
    }
}

// What a rank has after a training.
struct Learnt {
  std::vector<EpochRecord> epochs;
  std::vector<std::byte> weights;
  std::vector<float> trained;  // of them, what the optimizer changes
};

bool equal_bits(const EpochRecord& a, const EpochRecord& b) {
  return a.order == b.order && a.visit_logits == b.visit_logits && a.loss == b.loss &&
         a.accuracy == b.accuracy && a.values.loss == b.values.loss && a.values.kl == b.values.kl &&
         a.values.true_kl == b.values.true_kl && a.values.entropy == b.values.entropy &&
         a.values.el2n == b.values.el2n && a.values.correct == b.values.correct &&
         a.values.log_other == b.values.log_other && a.values.feature_norm == b.values.feature_norm;
}

struct Setting {
  TrainOptions train;
  StreamMode mode = StreamMode::kImmediate;
  DeviceKind kind = DeviceKind::kCpu;
  bool on_disk = false;
  Branches branches = Branches::kBeside;
  std::size_t bucket_bytes = ExchangeOptions{}.bucket_bytes;
  std::size_t buckets = 1;  // expected
};
constexpr std::int64_t kSamples =
    28;  // in batches of 12, the last has 4: of 3 ranks, the last has none of it

std::vector<float> trained(SmallRun& run) {
  std::vector<float> all;
  const std::vector<Param>& params = run.net->params().list();
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (params[i].kind == ParamKind::kRunning || params[i].kind == ParamKind::kCounter) continue;
    const std::vector<std::byte> bytes = run.net->params().download(*run.stream, static_cast<int>(i));
    const std::size_t before = all.size();
    all.resize(before + bytes.size() / sizeof(float));
    std::memcpy(&all[before], bytes.data(), bytes.size());
  }
  return all;
}

Learnt learn(const Setting& setting, Ranks* ranks) {
  std::optional<DataParallel> parallel;
  if (ranks) parallel.emplace(*ranks, ExchangeOptions{.bucket_bytes = setting.bucket_bytes});
  DataParallel* const shared = parallel ? &*parallel : nullptr;
  SmallRun run(setting.train, make_device(setting.kind, {.branches = setting.branches}), setting.mode,
               kSamples, setting.on_disk, 0.125, shared);
  if (shared) {
    shared->connect(*run.device);
    EXPECT_EQ(shared->buckets(), setting.buckets);
  }
  Learnt learnt;
  while (!run.trainer.done()) learnt.epochs.push_back(run.epoch());
  learnt.weights = run.weights();
  learnt.trained = trained(run);
  parallel.reset();  // before the device
  return learnt;
}

std::vector<Learnt> learn_on(int size, const Setting& setting) {
  return results_of_ranks(size, [&](Ranks& ranks) { return learn(setting, &ranks); });
}

Setting setting_of(int epochs = 2) {
  Setting setting{.train = options(epochs)};
  setting.train.batch = 12;
  setting.train.feature_norm = setting.train.visit_logits = true;
  return setting;
}

// Running statistics are each rank's own, so weights are compared in trainable parameters by the results.
void expect_equal_on_all(const std::vector<Learnt>& ranks, const std::string& what) {
  for (std::size_t rank = 1; rank < ranks.size(); ++rank)
    for (std::size_t epoch = 0; epoch < ranks[0].epochs.size(); ++epoch)
      EXPECT_TRUE(equal_bits(ranks[0].epochs[epoch], ranks[rank].epochs[epoch]))
          << what << ": rank " << rank << ", epoch " << epoch;
}

TEST(DataParallelTest, RanksVisitAsOneProcessAndRecordEqualBits) {
  const Learnt alone = learn(setting_of(), nullptr);
  for (const int size : {1, 2, 3}) {
    const std::vector<Learnt> ranks = learn_on(size, setting_of());
    expect_equal_on_all(ranks, fmt::format("{} ranks", size));
    for (std::size_t epoch = 0; epoch < 2; ++epoch)
      EXPECT_EQ(ranks[0].epochs[epoch].order, alone.epochs[epoch].order) << size;
  }
}

// One rank's exchange changes nothing, so it computes what a process without ranks does, up to the rounding
// of a loss that is not part of the head.
TEST(DataParallelTest, OneRankLearnsAsOneProcess) {
  const Learnt alone = learn(setting_of(), nullptr), rank = learn_on(1, setting_of())[0];
  for (std::size_t epoch = 0; epoch < 2; ++epoch)
    for (std::size_t i = 0; i < kSamples; ++i)
      EXPECT_NEAR(rank.epochs[epoch].values.loss[i], alone.epochs[epoch].values.loss[i], 2e-4f) << epoch;
}

// Weights of samples, parts of batches, a subset, images from the disk, and a recording on simt that runs as
// late as it may, with filter gradients on a branch.
TEST(DataParallelTest, EverySettingHasEqualBitsOnAllRanks) {
  Setting weighted = setting_of();
  for (std::int64_t i = 0; i < kSamples; ++i) weighted.train.weights.push_back(0.03f * static_cast<float>(i));
  Setting parts = setting_of();
  parts.train.accumulate = 2;
  Setting subset = setting_of();
  for (std::int32_t i = 0; i < 16; ++i) subset.train.subset.push_back(27 - i);
  Setting disk = setting_of();
  disk.on_disk = true;
  Setting late = setting_of();
  late.kind = DeviceKind::kSimt;
  late.mode = StreamMode::kDeferred;
  late.branches = Branches::kAtJoin;
  late.train.compute = DType::kF16;
  late.train.loss_scale = 128;
  const std::pair<const char*, Setting> settings[] = {
      {"weights", weighted}, {"accumulate", parts}, {"subset", subset}, {"disk", disk}, {"simt", late}};
  for (const auto& [what, setting] : settings) expect_equal_on_all(learn_on(3, setting), what);
}

TEST(DataParallelTest, ReplayedAndEagerStepsHaveEqualBits) {
  Setting eager = setting_of();
  eager.train.record_steps = false;
  const std::vector<Learnt> a = learn_on(3, setting_of()), b = learn_on(3, eager);
  for (std::size_t epoch = 0; epoch < 2; ++epoch)
    EXPECT_TRUE(equal_bits(a[2].epochs[epoch], b[2].epochs[epoch])) << epoch;
  EXPECT_EQ(a[0].weights, b[0].weights);
}

TEST(DataParallelTest, ImagesFromTheDiskHaveTheBitsOfThoseInMemory) {
  Setting disk = setting_of();
  disk.on_disk = true;
  const std::vector<Learnt> a = learn_on(3, setting_of()), b = learn_on(3, disk);
  for (std::size_t rank = 0; rank < 3; ++rank) EXPECT_EQ(a[rank].weights, b[rank].weights) << rank;
}

// A process that splits its batches into parts computes the same as ranks: batch norm sees a slice, and the
// gradient is the mean over the batch. Only last bits of dlogits may differ. One step, because such a small
// network magnifies them.
TEST(DataParallelTest, AStepOfRanksIsThatOfOneProcessWithParts) {
  Setting setting = setting_of(1);
  for (std::int32_t i = 0; i < 12; ++i) setting.train.subset.push_back(i);
  for (const int size : {2, 3}) {
    Setting parts = setting;
    parts.train.accumulate = size;
    const std::vector<float> alone = learn(parts, nullptr).trained;
    const std::vector<float> ranks = learn_on(size, setting)[0].trained;
    ASSERT_EQ(ranks.size(), alone.size());
    float most = 0;
    for (std::size_t i = 0; i < alone.size(); ++i) most = std::max(most, std::abs(ranks[i] - alone[i]));
    EXPECT_LE(most, 2e-6f) << size << " ranks; the step changes weights by up to 0.01";
  }
}

// Gradients are exchanged in buckets while the rest is computed: in one piece or in nine, as early or as late
// as the branch may run.
TEST(DataParallelTest, BucketsChangeNoBit) {
  for (const DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kSimt}) {
    Setting one = setting_of();
    one.kind = kind;
    Setting many = one;
    many.bucket_bytes = 1;
    many.buckets = 9;  // eight blocks and the stem
    const std::vector<Learnt> expected = learn_on(3, one);
    for (const Branches branches : {Branches::kAtFork, Branches::kAtJoin, Branches::kInterleaved}) {
      many.branches = branches;
      const std::vector<Learnt> ranks = learn_on(3, many);
      for (std::size_t rank = 0; rank < 3; ++rank)
        EXPECT_EQ(ranks[rank].weights, expected[rank].weights) << to_string(kind) << ", rank " << rank;
    }
  }
}

// Marks name every parameter once, and what is reached is final: the gradients from a mark on are those at
// the end of the pass, even if everything behind it has not run.
TEST(DataParallelTest, MarksCoverAllParametersAndTheirGradientsAreFinal) {
  for (const char* arch : {"resnet18", "resnet50"}) {
    const std::unique_ptr<Device> device = make_device(DeviceKind::kCpu, {.branches = Branches::kAtJoin});
    const std::unique_ptr<Stream> stream = device->make_stream();
    const std::unique_ptr<Net> net =
        make_resnet({.arch = arch, .classes = kClasses, .width = 0.0625, .image_size = 8});
    Params& params = net->params();
    params.place(*device, *stream, DType::kF32);
    params.initialize(*stream, 3);
    const std::vector<GradientMark> marks = net->gradient_marks();
    EXPECT_EQ(marks.back().filters, 0);
    EXPECT_EQ(marks.back().vectors, 0);
    for (std::size_t i = 1; i < marks.size(); ++i) {
      EXPECT_LT(marks[i].filters, marks[i - 1].filters) << arch << ", mark " << i;
      EXPECT_LT(marks[i].vectors, marks[i - 1].vectors) << arch << ", mark " << i;
    }
    PassPool pool(*device, *net);
    Pass& pass = pool.add({.batch = 4});
    pool.place();
    const TensorView input = pass.input();
    for (std::int64_t i = 0; i < 4 * 8 * 8 * 3; ++i)
      static_cast<float*>(input.data)[i] = std::sin(static_cast<float>(i));
    pass.forward(*stream);
    for (int i = 0; i < 4 * kClasses; ++i) pass.dlogits()[i] = 0.1f * static_cast<float>(i % 3);
    const auto gradients = [&](const Params::Range& range, std::int64_t from) {
      const auto* all = static_cast<const float*>(range.gradient);
      return std::vector<float>(all + from, all + range.n);
    };
    std::vector<std::vector<float>> filters(marks.size()), vectors(marks.size());
    pass.backward(*stream, [&](std::size_t mark) {
      const Stream::Fork fork = stream->fork([] {});
      stream->join(fork);  // runs what the branch has so far
      filters[mark] = gradients(params.filters(), marks[mark].filters);
      vectors[mark] = gradients(params.vectors(), marks[mark].vectors);
    });
    for (std::size_t mark = 0; mark < marks.size(); ++mark) {
      EXPECT_EQ(filters[mark], gradients(params.filters(), marks[mark].filters)) << arch << ", mark " << mark;
      EXPECT_EQ(vectors[mark], gradients(params.vectors(), marks[mark].vectors)) << arch << ", mark " << mark;
    }
  }
}

TEST(DataParallelTest, EvaluationIsSharedAndEqualOnAllRanks) {
  const auto evaluate = [](Ranks* ranks, std::int32_t batch, std::int64_t images) {
    std::optional<DataParallel> parallel;
    if (ranks) parallel.emplace(*ranks);
    DataParallel* const shared = parallel ? &*parallel : nullptr;
    const std::unique_ptr<Device> device = make_device(DeviceKind::kCpu);
    const std::unique_ptr<Stream> stream = device->make_stream();
    const std::unique_ptr<Net> net = SmallRun::make_net(*device, *stream, DType::kF32);
    PassPool pool(*device, *net);
    const DeviceDataset set(*device, *stream, bright_images(images), {0.5f, 0.5f, 0.5f},
                            {0.25f, 0.25f, 0.25f});
    Evaluator evaluator(*device, *stream, *net, pool, set, batch, DType::kF32, Conv2dMath::kExact,
                        ConvAlgo::kAuto, shared);
    pool.place();
    return evaluator.run();
  };
  for (const std::int64_t images : {2, 10, 13}) {
    const Evaluation alone = evaluate(nullptr, 4, images);
    const std::vector<double> losses = results_of_ranks(3, [&](Ranks& ranks) {
      const Evaluation shared = evaluate(&ranks, 4, images);
      EXPECT_EQ(shared.accuracy, alone.accuracy) << images;
      EXPECT_EQ(shared.top5, alone.top5) << images;
      EXPECT_NEAR(shared.loss, alone.loss, 1e-6) << images;
      return shared.loss;
    });
    EXPECT_THAT(losses, testing::Each(losses[0]));
  }
}

TEST(DataParallelTest, RunningStatisticsBecomeThoseOfRank0) {
  on_ranks(2, [](Ranks& ranks) {
    std::unique_ptr<DataParallel> parallel = std::make_unique<DataParallel>(ranks);
    SmallRun run(setting_of().train, make_device(DeviceKind::kCpu), StreamMode::kImmediate, kSamples, false,
                 0.125, parallel.get());
    parallel->connect(*run.device);
    run.trainer.step();
    const auto running = [&] {
      const std::span<float> all = run.net->params().all_running();
      return std::vector<float>(all.begin(), all.end());
    };
    const std::vector<float> own = running();
    parallel->share_running(*run.stream, run.net->params());
    EXPECT_EQ(own == running(), ranks.first());
    std::vector<float> all(2 * own.size());
    const std::vector<float> shared = running();
    ranks.all_gather(shared.data(), all.data(), shared.size() * sizeof(float));
    EXPECT_TRUE(std::equal(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(own.size()),
                           all.begin() + static_cast<std::ptrdiff_t>(own.size())));
    parallel.reset();  // before the device
  });
}

TEST(DataParallelTest, RefusesABatchThatLeavesARankWithoutImages) {
  Setting setting = setting_of();
  setting.train.batch = 9;  // slots of 3
  try {
    learn_on(4, setting);
    FAIL() << "a batch of 9 was shared by 4 ranks";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("4 ranks cannot share a batch of 9 images"));
  }
}

}  // namespace
}  // namespace tdds
