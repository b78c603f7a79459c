#include "tdds/statistics/report_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using Values = std::vector<float>;

TEST(HistogramTest, CountsBinsOfEqualWidthAndTheHighestValueInTheLast) {
  const Histogram bins = histogram(Values{0, 0.9f, 1, 2.5f, 4, 4}, 4);
  EXPECT_EQ(bins.low, 0);
  EXPECT_EQ(bins.high, 4);
  EXPECT_EQ(bins.counts, (std::vector<std::int64_t>{2, 1, 1, 2}));
}

TEST(HistogramTest, OneValueIsInTheFirstBin) {
  EXPECT_EQ(histogram(Values{3, 3, 3}, 5).counts, (std::vector<std::int64_t>{3, 0, 0, 0, 0}));
}

TEST(HistogramTest, RejectsEmptyOrNonFiniteValues) {
  EXPECT_THROW(histogram({}, 5), Error);
  EXPECT_THROW(histogram(Values{1, std::numeric_limits<float>::infinity()}, 5), Error);
  EXPECT_THROW(histogram(Values{1, std::nanf("")}, 5), Error);
}

TEST(StandingTest, RunsFromTheLowestToTheHighest) {
  EXPECT_EQ(standing(std::vector<double>{2, 0, 1}), (Values{1, 0, 0.5f}));
  EXPECT_EQ(standing(std::vector<double>{0}), (Values{0.5f}));
}

TEST(DisagreementTest, IsTheHighestStandingLessTheLowest) {
  const std::vector<Values> standings{{0, 0.5f, 1}, {1, 0.5f, 0}, {0.5f, 0.25f, 1}};
  EXPECT_EQ(disagreement(standings), (Values{1, 0.25f, 1}));
  EXPECT_THROW(disagreement(std::vector<Values>{{0, 1}, {0}}), Error);
}

TEST(RepetitionsTest, DivideTheSquaresByOneLess) {
  const Repetitions three = repetitions(std::vector<double>{70, 72, 77});
  EXPECT_EQ(three.count, 3);
  EXPECT_DOUBLE_EQ(three.mean, 73);
  EXPECT_DOUBLE_EQ(three.deviation, std::sqrt(13.0));
  EXPECT_EQ(repetitions(std::vector<double>{70}).deviation, 0);
  EXPECT_EQ(repetitions({}).count, 0);
}

TEST(FoundAtEndsTest, TakesAsManyAsThereAreWrong) {
  const std::vector<std::uint8_t> wrong{1, 0, 0, 1, 0, 0};
  const FoundShares found = found_at_ends(std::vector<std::int64_t>{0, 3, 1, 2, 4, 5}, wrong);
  EXPECT_EQ(found.low, 1);
  EXPECT_EQ(found.high, 0);
  EXPECT_EQ(found_at_ends(std::vector<std::int64_t>{1, 2, 4, 5, 0, 3}, wrong).high, 1);
  EXPECT_EQ(found_at_ends(std::vector<std::int64_t>{3, 2, 4, 5, 1, 0}, wrong).low, 0.5);
}

// Losses of three samples over four epochs.
class DataMapTest : public testing::Test {
 protected:
  DataMapTest() {
    DynamicsHeader header;
    header.samples = 3;
    header.classes = 2;
    DynamicsWriter writer(path_, header);
    const std::vector<Values> p{{0.9f, 0.1f, 0.5f}, {0.9f, 0.2f, 1}, {0.9f, 0.1f, 0.5f}, {0.9f, 0.2f, 1}};
    for (int epoch = 0; epoch < 4; ++epoch) {
      EpochDynamics values(3);
      for (std::size_t i = 0; i < 3; ++i) values.loss[i] = -std::log(p[static_cast<std::size_t>(epoch)][i]);
      writer.append(epoch, values);
    }
  }
  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "dynamics.tdds";
};

TEST_F(DataMapTest, IsMeanAndDeviationOfTheLabelsProbability) {
  const DataMap map = data_map(DynamicsReader(path_), 4);
  // float32 losses carry 6e-8 of relative error.
  EXPECT_NEAR(map.mean[0], 0.9, 1e-6);
  EXPECT_NEAR(map.deviation[0], 0, 1e-6);
  EXPECT_NEAR(map.mean[1], 0.15, 1e-6);
  EXPECT_NEAR(map.deviation[1], 0.05, 1e-6);
  EXPECT_NEAR(map.mean[2], 0.75, 1e-6);
  EXPECT_NEAR(map.deviation[2], 0.25, 1e-6);
  EXPECT_THROW(data_map(DynamicsReader(path_), 0), Error);
}

TEST_F(DataMapTest, BandsHoldTheMeansOfTheirSamples) {
  const DataMap map = data_map(DynamicsReader(path_), 4);
  const std::vector<Values> standings{{1, 0, 0.5f}};
  const auto bands = confidence_bands(map, standings, 2);
  ASSERT_EQ(bands.size(), 2u);
  EXPECT_EQ(bands[0].samples, 1);
  EXPECT_EQ(bands[1].samples, 2);
  EXPECT_NEAR(bands[0].deviation, 0.05, 1e-6);
  EXPECT_NEAR(bands[1].deviation, 0.125, 1e-6);
  EXPECT_EQ(bands[0].standings[0], 0);
  EXPECT_EQ(bands[1].standings[0], 0.75);
}

}  // namespace
}  // namespace tdds
