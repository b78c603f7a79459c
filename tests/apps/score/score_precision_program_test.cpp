// The accuracy of scores from .npy logits and from dynamics.tdds, as a training records them, against long
// double.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "engine/io/dynamics_store.h"
#include "engine/io/npy.h"
#include "kernels/backends/backend.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "tests/apps/program.h"
#include "tests/tdds/reference.h"

namespace tdds::test {
namespace {

constexpr int kEpochs = 12, kSamples = 1000;

// The size of the terms whose difference is d: sum_c p_c (|log p_c| + |log p'_c|).
std::vector<Row> sizes_of_logs(const Recorded& recorded) {
  std::vector<Row> sizes;
  const auto classes = static_cast<std::size_t>(recorded.classes);
  for (std::size_t t = 0; t + 1 < recorded.logits.size(); ++t) {
    Row size(kSamples);
    for (std::size_t i = 0; i < kSamples; ++i) {
      const Row p = softmax(&recorded.logits[t][i * classes], recorded.classes);
      const Row q = softmax(&recorded.logits[t + 1][i * classes], recorded.classes);
      for (std::size_t c = 0; c < classes; ++c)
        size[i] += q[c] * (std::abs(std::log(q[c] + 1e-8L)) + std::abs(std::log(p[c] + 1e-8L)));
    }
    sizes.push_back(std::move(size));
  }
  return sizes;
}

// The score's formula with norms about 0 in place of norms about the mean.
Row norms(const std::vector<Row>& series, int t, int j, long double decay) {
  Row norm(kSamples);
  for (std::size_t i = 0; i < norm.size(); ++i)
    for (int k = 0; k <= t - j; ++k) {
      long double squares = 0;
      for (int m = k; m < k + j - 1; ++m)
        squares += series[static_cast<std::size_t>(m)][i] * series[static_cast<std::size_t>(m)][i];
      norm[i] += decay * std::pow(1 - decay, t - j - k) * std::sqrt(squares);
    }
  return norm;
}

// Computes the d of an epoch with the op that records it in training, from the logits of that epoch and the
// state of the previous one.
class Recorder {
 public:
  explicit Recorder(const Recorded& recorded)
      : recorded_(recorded), previous_(*device_, bytes(recorded.classes), "previous visits") {}

  std::vector<float> d(int epoch) {
    const std::vector<float>& z = recorded_.logits[static_cast<std::size_t>(epoch)];
    std::vector<std::int32_t> order(kSamples), labels(kSamples, 0);
    for (int i = 0; i < kSamples; ++i) order[static_cast<std::size_t>(i)] = i;
    StepState state{};
    state.epoch = epoch;
    std::vector<float> d(kSamples);
    const auto logits = upload(z), ids = upload(order), all_labels = upload(labels);
    const auto at = upload(std::vector<StepState>{state});
    const DeviceMemory kl(*device_, bytes(1), "d");
    softmax_kl(*stream_, {.logits = logits.get<float>(),
                          .labels = all_labels.get<std::int32_t>(),
                          .order = ids.get<std::int32_t>(),
                          .state = at.get<StepState>(),
                          .dlogits = nullptr,
                          .prev_logp = previous_.get<float>(),
                          .visit_logits = nullptr,
                          .out = {.kl = kl.get<float>()},
                          .batch_weight = nullptr,
                          .loss_scale = 1,
                          .batch = kSamples,
                          .classes = static_cast<std::int32_t>(recorded_.classes)});
    stream_->download(d.data(), kl.data(), kl.bytes());
    stream_->synchronize();
    return d;
  }

 private:
  static std::size_t bytes(std::int64_t values) {
    return static_cast<std::size_t>(values) * kSamples * sizeof(float);
  }
  template <class T>
  DeviceMemory upload(const std::vector<T>& values) {
    DeviceMemory memory(*device_, values.size() * sizeof(T), "values");
    stream_->upload(memory.data(), values.data(), memory.bytes());
    stream_->synchronize();
    return memory;
  }

  const Recorded& recorded_;
  std::unique_ptr<Device> device_ = make_device(DeviceKind::kCpu);
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamMode::kImmediate);
  DeviceMemory previous_;
};

class ScorePrecisionTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    DynamicsHeader header;
    header.samples = kSamples;
    header.classes = GetParam();
    header.dataset = "shapes";
    header.labels.assign(kSamples, 0);
    DynamicsWriter writer(folder_ / "dynamics.tdds", header);
    Recorder recorder(recorded_);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      EpochDynamics values(kSamples);
      values.kl = recorder.d(epoch);
      writer.append(epoch, values);
      const auto& ids = recorded_.ids[static_cast<std::size_t>(epoch)];
      write_official_epoch(folder_ / "npy", epoch, std::vector<float>(kSamples),
                           in_visiting_order(recorded_, epoch, ids), GetParam(), ids);
    }
  }

  // By sample id.
  std::vector<double> scores(const std::string& source, int j, const std::string& device = "cpu") const {
    const Outcome outcome =
        run_tool("tdds-score",
                 {"--dynamics_path", folder_ / source, "--mask_path", folder_ / "masks", "--device", device,
                  "--trajectory_len", std::to_string(kEpochs), "--window_size", std::to_string(j)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::string masks = folder_ / "masks";
    const auto mask = read_npy_i64(fmt::format("{}/data_mask_win{}_ep{}.npy", masks, j, kEpochs));
    const auto sorted = read_npy_f32(fmt::format("{}/score_win{}_ep{}.npy", masks, j, kEpochs));
    std::vector<double> by_id(kSamples);
    for (std::size_t i = 0; i < mask.size(); ++i) by_id[static_cast<std::size_t>(mask[i])] = sorted[i];
    return by_id;
  }

  TemporaryFolder folder_;
  const Recorded recorded_ = random_dynamics(kSamples, GetParam(), kEpochs, 5);  // p_y from 0.5 to 1 - 1e-7
};

// docs/pytorch_users.md (the differences that matter), docs/architecture.md 7.2.
TEST_P(ScorePrecisionTest, MatchesTheDocumentation) {
  const auto series = reference_series(recorded_), sizes = sizes_of_logs(recorded_);
  for (const int j : {3, 5, 10}) {
    SCOPED_TRACE(fmt::format("J={}", j));
    const Row exact = reference_scores(series, kEpochs, j, 0.9L), logs = norms(sizes, kEpochs, j, 0.9L),
              ds = norms(series, kEpochs, j, 0.9L);
    const std::vector<double> of_npy = scores("npy", j), of_store = scores("dynamics.tdds", j),
                              on_device = scores("npy", j, "simt");
    std::vector<double> relative;
    for (std::size_t i = 0; i < kSamples; ++i) {
      const auto want = static_cast<double>(exact[i]);
      EXPECT_NEAR(of_npy[i], want, 1e-5 * want) << i;
      // Half a unit of float32, 6e-8, of each log, of d and of the score; R changes by no more than the d's
      // do.
      EXPECT_NEAR(of_store[i], want, 2e-7 * static_cast<double>(logs[i])) << i;
      EXPECT_NEAR(on_device[i], want, 2e-7 * static_cast<double>(ds[i])) << i;
      relative.push_back(std::abs(of_store[i] / want - 1));
    }
    std::sort(relative.begin(), relative.end());
    EXPECT_LT(relative[kSamples * 19 / 20], 1e-5);
    EXPECT_LT(relative.back(), j == 10 ? 1e-5 : 1e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(Classes, ScorePrecisionTest, testing::Values(2, 10, 100),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace tdds::test
