#include "engine/evaluator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/ops/augment.h"
#include "kernels/ops/step_state.h"
#include "tests/engine/small_run.h"

namespace tdds {
namespace {

using namespace test;

TEST(EvaluatorTest, CountsEverySampleOnceForAnyBatchSize) {
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

TEST(EvaluatorTest, FeaturesAreTheInputsOfTheLastLayer) {
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

// Runs a training pass on the same images in the same order before the trainer's first step.
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
  augment(*run.stream, {.images = run.set.images(),
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
