// Every method against the fixture of tests/golden/golden_methods.py. The ops record its logits and features
// as in training, and the scores are compared with those of the textbook formulas.

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/io/safetensors.h"
#include "kernels/ops/feature_norm.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "kernels/runtime/device.h"
#include "tdds/methods/moderate.h"
#include "tdds/methods/streaming_score.h"
#include "tests/paths.h"

namespace tdds {
namespace {

class GoldenMethodsTest : public testing::TestWithParam<DeviceKind> {
 protected:
  template <class T>
  std::vector<T> read(const std::string& name) const {
    const StoredTensor& tensor = fixture_.at(name);
    std::vector<T> values(tensor.bytes / sizeof(T));
    fixture_.read(tensor, values.data());
    return values;
  }
  std::int64_t extent(const std::string& name, std::size_t dimension) const {
    return fixture_.at(name).shape.at(dimension);
  }
  std::vector<std::int32_t> labels() const {
    const auto wide = read<std::int64_t>("label");
    return {wide.begin(), wide.end()};
  }

  // The recording of a training with each epoch in one batch.
  std::vector<EpochDynamics> watch() const {
    const std::int64_t epochs = extent("logits", 0), n = extent("logits", 1), k = extent("logits", 2),
                       f = extent("features", 2);
    const auto logits = read<float>("logits"), features = read<float>("features");
    const auto device = make_device(GetParam());
    const auto stream = device->make_stream();
    const auto memory = [&](std::int64_t bytes) {
      return DeviceMemory(*device, static_cast<std::size_t>(bytes), "a test");
    };
    const auto upload = [&](const DeviceMemory& to, const void* from) {
      stream->upload(to.data(), from, to.bytes());
      stream->synchronize();
    };
    std::vector<std::int32_t> order(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
    const auto z = memory(4 * n * k), h = memory(4 * n * f), label = memory(4 * n), ids = memory(4 * n),
               previous = memory(4 * n * k), state = memory(sizeof(StepState));
    const auto kl = memory(4 * n), true_kl = memory(4 * n), loss = memory(4 * n), other = memory(4 * n),
               entropy = memory(4 * n), el2n = memory(4 * n), norm = memory(4 * n), correct = memory(n);
    upload(label, labels().data());
    upload(ids, order.data());
    std::vector<EpochDynamics> watched;
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
      StepState now{};
      now.epoch = static_cast<std::int32_t>(epoch);
      upload(state, &now);
      upload(z, logits.data() + epoch * n * k);
      upload(h, features.data() + epoch * n * f);
      SoftmaxKlArgs args{};
      args.logits = z.get<float>();
      args.labels = label.get<std::int32_t>();
      args.order = ids.get<std::int32_t>();
      args.state = state.get<StepState>();
      args.prev_logp = previous.get<float>();
      args.out = {kl.get<float>(),      true_kl.get<float>(), loss.get<float>(),          other.get<float>(),
                  entropy.get<float>(), el2n.get<float>(),    correct.get<std::uint8_t>()};
      args.loss_scale = 1;
      args.batch = static_cast<std::int32_t>(n);
      args.classes = static_cast<std::int32_t>(k);
      softmax_kl(*stream, args);
      feature_norm(*stream, {h.get<float>(), ids.get<std::int32_t>(), state.get<StepState>(),
                             norm.get<float>(), static_cast<std::int32_t>(n), static_cast<std::int32_t>(f)});
      EpochDynamics values(n);
      values.feature_norm.resize(static_cast<std::size_t>(n));
      const auto take = [&](auto& to, const DeviceMemory& from) {
        stream->download(to.data(), from.data(), from.bytes());
      };
      take(values.kl, kl);
      take(values.true_kl, true_kl);
      take(values.loss, loss);
      take(values.log_other, other);
      take(values.entropy, entropy);
      take(values.el2n, el2n);
      take(values.correct, correct);
      take(values.feature_norm, norm);
      stream->synchronize();
      watched.push_back(std::move(values));
    }
    return watched;
  }

  // The tolerance is 1e-5 of the value, or of the largest value if a score is a difference.
  void expect_score(const std::string& name, const std::vector<float>& actual,
                    bool difference = false) const {
    const auto expected = read<double>("score." + name);
    ASSERT_EQ(actual.size(), expected.size());
    double largest = 0;
    for (const double value : expected) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 1e-5 * (difference ? largest : std::abs(expected[i])))
          << name << ", sample " << i;
  }

  SafetensorsFile fixture_{golden_path("methods.safetensors")};
};

TEST_P(GoldenMethodsTest, EveryMethodIsTheTextbooks) {
  const std::vector<EpochDynamics> epochs = watch();
  const auto samples = static_cast<std::int64_t>(labels().size());
  const auto count = static_cast<std::int32_t>(epochs.size());
  const auto setting = read<double>("tdds_setting");
  const MethodOptions of_tdds{.epochs = static_cast<std::int32_t>(setting[0]),
                              .window_size = static_cast<std::int32_t>(setting[1]),
                              .decay = setting[2]};
  for (const Method* method : all_methods()) {
    if (method->drawn || !method->make) continue;
    StreamingScore score =
        streaming_score(*method, samples, count, has_trajectory(*method) ? of_tdds : MethodOptions{});
    for (const EpochDynamics& epoch : epochs) score.add(view_of(epoch), "the fixture");
    const bool difference = method->can_be_negative || method == &methods::kTddsKl;
    expect_score(method->name, score.score(), difference);
  }
}

TEST_P(GoldenMethodsTest, ModerateIsTheAuthors) {
  const auto all = read<float>("features");
  const std::int64_t n = extent("features", 1), f = extent("features", 2);
  const Features features{{all.end() - n * f, all.end()}, n, f};
  const auto score = moderate_scores(features, labels(), static_cast<std::int32_t>(extent("logits", 2)));
  const auto expected = read<double>("score.moderate");
  for (std::size_t i = 0; i < score.size(); ++i) EXPECT_EQ(score[i], expected[i]) << i;
}

INSTANTIATE_TEST_SUITE_P(Devices, GoldenMethodsTest, testing::Values(DeviceKind::kCpu, DeviceKind::kSimt),
                         [](const auto& suite) { return std::string(to_string(suite.param)); });

}  // namespace
}  // namespace tdds
