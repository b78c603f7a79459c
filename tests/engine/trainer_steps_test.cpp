// How a training divides its samples into steps, and what it counts by step and epoch.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <tuple>

#include "engine/checkpoint.h"
#include "engine/shuffle.h"
#include "engine/trainer.h"
#include "kernels/ops/step_state.h"
#include "tests/engine/small_run.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using namespace test;

// The official factor is the mean over the batch, for any number of micro-batches.
TEST(TrainerStepsTest, TheBatchWeightCoversTheWholeBatchWithMicroBatches) {
  TrainOptions varied = options(2);
  varied.shuffle = false;
  varied.accumulate = 2;
  varied.subset = {0, 1, 2, 3, 4, 5, 6, 7};
  TrainOptions even = varied;
  varied.weights.assign(26, 0.25f);
  for (int i = 4; i < 8; ++i) varied.weights[i] = 0.75f;
  even.weights.assign(26, 0.5f);  // the mean of the batch, exactly
  SmallRun a(varied), b(even);
  for (int e = 0; e < 2; ++e) EXPECT_EQ(a.epoch().values.loss, b.epoch().values.loss);
  EXPECT_EQ(a.weights(), b.weights());
}

// Multiplies the head's weights. With 1e12, logits and losses stay finite, but gradients with a loss scale
// of 1e30 do not.
void scale_head(SmallRun& run, float factor) {
  const std::vector<Param>& params = run.net->params().list();
  const auto head = static_cast<int>(
      std::find_if(params.begin(), params.end(), [](const Param& p) { return p.name == "fc.weight"; }) -
      params.begin());
  std::vector<std::byte> bytes = run.net->params().download(*run.stream, head);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, &bytes[at], sizeof(value));
    value *= factor;
    std::memcpy(&bytes[at], &value, sizeof(value));
  }
  run.net->params().upload(*run.stream, head, bytes);
}

// Loss and accuracy of every epoch, not only of the first, are the means over its visits.
TEST(TrainerStepsTest, LossAndAccuracyAreTheMeansOfTheEpochsVisits) {
  SmallRun run(options());
  for (int e = 0; e < 3; ++e) {
    const EpochRecord record = run.epoch();
    const auto& [loss, correct] = std::tie(record.values.loss, record.values.correct);
    EXPECT_NEAR(record.loss, std::accumulate(loss.begin(), loss.end(), 0.0) / 26, 1e-12) << e;
    EXPECT_EQ(record.accuracy, std::accumulate(correct.begin(), correct.end(), 0) / 26.0) << e;
  }
}

// Skipped steps are counted by epoch. 3 of 4, then 1 of 4, do not stop the training; all 4 do, even after an
// epoch that learnt.
TEST(TrainerStepsTest, SkippedStepsAreCountedByEpoch) {
  TrainOptions o = options(3);
  o.loss_scale = 1e30f;
  SmallRun run(o);
  const auto epoch_with_skipped = [&](int skipped) {
    scale_head(run, 1e12f);
    for (int i = 0; i < skipped; ++i) run.trainer.step();
    scale_head(run, 1e-12f);
    return run.epoch().skipped_steps;
  };
  EXPECT_EQ(epoch_with_skipped(3), 3);
  EXPECT_EQ(epoch_with_skipped(1), 4) << "since training began";
  try {
    epoch_with_skipped(4);
    FAIL() << "nothing was learnt, and nothing was said";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("all 4 steps of epoch 2 were skipped"), std::string::npos)
        << error.what();
  }
}

TEST(TrainerStepsTest, TheOrderIsTheShuffleOfItsSeedAndEpoch) {
  for (const std::uint64_t seed : {1u, 7u}) {
    TrainOptions o = options();
    o.seed = seed;
    SmallRun run(o);
    for (std::int32_t epoch = 0; epoch < 3; ++epoch)
      EXPECT_EQ(run.epoch().order, shuffled(counting_ids(26), seed, epoch)) << seed << ", " << epoch;
  }
}

TEST(TrainerStepsTest, CropsArePaddedByFourAndByASixteenthOfLargeImages) {
  EXPECT_EQ(crop_padding(32, 32), 4);
  EXPECT_EQ(crop_padding(64, 64), 4);
  EXPECT_EQ(crop_padding(79, 200), 4);
  EXPECT_EQ(crop_padding(80, 96), 5);
  EXPECT_EQ(crop_padding(224, 224), 14);
}

// A checkpoint at a position where no step ends is damaged or of another batch size.
TEST(TrainerStepsTest, ACheckpointBetweenStepsIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  for (const std::int32_t cursor : {8, 24, 26, 3, 25, 27, -1}) {
    SmallRun run(options()), resumed(options());
    run.trainer.step();
    StepState state = run.trainer.read_state();
    state.cursor = cursor;
    for (const StateArray& array : run.trainer.state_arrays())
      if (array.name == "state") run.stream->upload(array.device_memory, &state, sizeof(state));
    run.stream->synchronize();
    save_checkpoint(path, *run.stream, run.net->params(), run.trainer, {});
    const auto load = [&] { load_checkpoint(path, *resumed.stream, resumed.net->params(), resumed.trainer); };
    if (cursor == 8 || cursor == 24 || cursor == 26)
      load();
    else
      EXPECT_THAT(load, testing::ThrowsMessage<Error>(testing::HasSubstr("never reaches"))) << cursor;
  }
}

}  // namespace
}  // namespace tdds
