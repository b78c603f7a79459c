#include "kernels/ops/feature_norm.h"
#include "kernels/ops/step_state.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class FeatureNormTest : public OpTest {};

TEST_P(FeatureNormTest, IsTheNormOfEachRowBySampleId) {
  constexpr int kCursor = 2;
  for (const int width : {1, 7, 32, 512, 2048}) {
    constexpr int kBatch = 9, kSamples = 12;
    const auto features = random_values(static_cast<std::size_t>(kBatch) * width, 5, 0.3, 2);
    std::vector<std::int32_t> order(kSamples);
    for (int i = 0; i < kSamples; ++i) order[i] = (5 * i + 1) % kSamples;
    auto memory = upload(features);
    auto ids = upload(order);
    auto state = upload<StepState>({state_at(7, kCursor, 1)});
    auto norm = empty<float>(kSamples);
    feature_norm(stream(), {memory, ids, state, norm, kBatch, width});
    const std::vector<float> got = download(norm);
    for (int b = 0; b < kBatch; ++b) {
      double squares = 0;
      for (int f = 0; f < width; ++f) {
        const double value = features[static_cast<std::size_t>(b) * width + f];
        squares += value * value;
      }
      // The accuracy of the contract; fp32 sums of up to 2048 positive terms lose less.
      EXPECT_NEAR(got[order[kCursor + b]], std::sqrt(squares), 1e-5 * std::sqrt(squares)) << width;
    }
    for (const int untouched : {0, 1, 11}) EXPECT_TRUE(std::isnan(got[order[untouched]])) << untouched;
  }
}

TEST_P(FeatureNormTest, RejectsInvalidArguments) {
  auto features = upload<float>({3, 4});
  auto order = upload<std::int32_t>({0});
  auto state = upload<StepState>({state_at(0, 0, 0)});
  auto norm = empty<float>(1);
  EXPECT_THROW(feature_norm(stream(), {features, order, state, norm, 0, 2}), Error);
  EXPECT_THROW(feature_norm(stream(), {features, order, state, norm, 1, 0}), Error);
  EXPECT_THROW(feature_norm(stream(), {features, order, state, nullptr, 1, 2}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, FeatureNormTest, testing::ValuesIn(every_device()), name_of_case);

}  // namespace
}  // namespace tdds::test
