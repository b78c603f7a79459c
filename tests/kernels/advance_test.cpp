#include "kernels/ops/advance.h"
#include "kernels/ops/step_state.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class AdvanceTest : public OpTest {};

TEST_P(AdvanceTest, AdvanceSumsTheBatchBySampleId) {
  auto order = upload<std::int32_t>({3, 1, 0, 2});
  auto loss = upload<float>({0.5f, 0.25f, 8, 4});
  auto correct = upload<std::uint8_t>({1, 0, 1, 1});
  StepState initial = state_at(10, 1, 2);
  initial.loss_sum = 100;
  initial.correct = 7;
  auto state = upload<StepState>({initial});
  advance(stream(), {state, order, loss, correct, 2, true});
  const StepState got = download(state)[0];
  EXPECT_EQ(got.step, 11);
  EXPECT_EQ(got.cursor, 3);
  EXPECT_EQ(got.epoch, 2);
  EXPECT_EQ(got.loss_sum, 100.75);  // samples 1 and 0
  EXPECT_EQ(got.correct, 8);
  EXPECT_EQ(got.skipped, 0);
}

TEST_P(AdvanceTest, EvaluationCountsNoStepAndASkippedStepIsCounted) {
  auto order = upload<std::int32_t>({0});
  auto loss = upload<float>({1});
  auto correct = upload<std::uint8_t>({1});
  StepState initial = state_at(4, 0, 0);
  initial.nonfinite = 1;
  initial.skipped = 2;
  auto state = upload<StepState>({initial});
  advance(stream(), {state, order, loss, correct, 1, false});
  const StepState got = download(state)[0];
  EXPECT_EQ(got.step, 4);
  EXPECT_EQ(got.cursor, 1);
  EXPECT_EQ(got.skipped, 3);
  EXPECT_EQ(got.nonfinite, 0);
}

TEST_P(AdvanceTest, SumsOfManySmallLossesKeepTheirDigits) {
  // 2000 losses of about 1e-3 added to a sum of 1e5: a float sum would lose the fourth digit of the added
  // values.
  const int n = 2000;
  std::vector<std::int32_t> ids(n);
  for (int i = 0; i < n; ++i) ids[i] = n - 1 - i;
  const auto losses = random_values(n, 1, 1e-3, 1e-4);
  double want = 1e5;
  for (const float value : losses) want += value;
  auto order = upload(ids);
  auto loss = upload(losses);
  auto correct = upload(std::vector<std::uint8_t>(n, 1));
  StepState initial = state_at(0, 0, 0);
  initial.loss_sum = 1e5;
  auto state = upload<StepState>({initial});
  advance(stream(), {state, order, loss, correct, n, true});
  // In any order: 2000 roundings of a double near 1e5, or at worst of fp32 partial sums near 2.
  EXPECT_NEAR(download(state)[0].loss_sum, want, 1e-6);
  EXPECT_EQ(download(state)[0].correct, n);
}

TEST_P(AdvanceTest, RejectsInvalidArguments) {
  auto state = upload<StepState>({state_at(0, 0, 0)});
  EXPECT_THROW(advance(stream(), {state, nullptr, nullptr, nullptr, 1, true}), Error);
  auto order = upload<std::int32_t>({0});
  auto loss = upload<float>({1});
  auto correct = upload<std::uint8_t>({1});
  EXPECT_THROW(advance(stream(), {state, order, loss, correct, 0, true}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, AdvanceTest, testing::ValuesIn(every_device()), name_of_case);

}  // namespace
}  // namespace tdds::test
