// Official files whose epochs do not visit every sample (tdds/dynamics/official_dynamics.h).

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/io/dynamics_store.h"
#include "engine/io/npy.h"
#include "kernels/runtime/check.h"
#include "tdds/dynamics/dynamics_source.h"
#include "tdds/dynamics/official_dynamics.h"
#include "tests/tdds/reference.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::Recorded;
using test::Row;

const MissingVisits kCarry{.carry = true};

// d [T-1][N] from each sample's visits; recorded.ids [T] lists the visited samples.
std::vector<Row> reference_with_gaps(const Recorded& recorded) {
  std::vector<Row> series(recorded.ids.size() - 1, Row(static_cast<std::size_t>(recorded.samples)));
  for (std::int64_t id = 0; id < recorded.samples; ++id) {
    Row last;
    for (std::size_t epoch = 0; epoch < recorded.ids.size(); ++epoch) {
      const auto& visited = recorded.ids[epoch];
      if (std::find(visited.begin(), visited.end(), id) == visited.end()) continue;
      Row now = test::softmax(recorded.logits[epoch].data() + id * recorded.classes, recorded.classes);
      for (std::size_t c = 0; c < last.size(); ++c)
        series[epoch - 1][static_cast<std::size_t>(id)] +=
            std::abs(now[c] * (std::log(now[c] + 1e-8L) - std::log(last[c] + 1e-8L)));
      last = std::move(now);
    }
  }
  return series;
}

class MissingVisitsTest : public testing::Test {
 protected:
  void write(const Recorded& recorded) {
    for (std::size_t epoch = 0; epoch < recorded.ids.size(); ++epoch) {
      const auto& ids = recorded.ids[epoch];
      write_official_epoch(folder_.path(), static_cast<int>(epoch), std::vector<float>(ids.size()),
                           in_visiting_order(recorded, static_cast<int>(epoch), ids), recorded.classes, ids);
    }
  }
  std::string refusal(const MissingVisits& rule, int epochs) {
    try {
      read_official_series(folder_.path(), epochs, rule);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  static void expect_equals_reference(const KlSeries& series, const Recorded& recorded) {
    const auto expected = reference_with_gaps(recorded);
    ASSERT_EQ(series.samples, recorded.samples);
    ASSERT_EQ(series.values.size(), expected.size() * static_cast<std::size_t>(recorded.samples));
    for (std::size_t t = 0, at = 0; t < expected.size(); ++t)
      for (std::size_t id = 0; id < expected[t].size(); ++id, ++at) {
        const auto exact = static_cast<double>(expected[t][id]);
        EXPECT_NEAR(series.values[at], exact, 1e-7 * exact) << "sample " << id << ", epoch " << t + 1;
      }
  }

  test::TemporaryFolder folder_;
};

// Three samples of two classes with p = 1/2 or 3/4, so that each d is one of two known numbers.
TEST_F(MissingVisitsTest, CarriesTheLastVisitOfThreeSamplesOverFiveEpochs) {
  const float up = std::log(3.0f);  // p = 3/4
  Recorded recorded{3, 2, {}, {{1, 0}, {0}, {2, 0}, {0, 2, 1}, {1, 0}}};
  recorded.logits = {
      {0, 0, 0, 0, 0, 0}, {up, 0, 0, 0, 0, 0}, {up, 0, 0, 0, up, 0}, {0, 0, up, 0, 0, 0}, {0, 0, 0, 0, 0, 0}};
  write(recorded);
  const double rise = 0.75 * std::log(1.5) + 0.25 * std::log(2),
               fall = 0.5 * std::log(1.5) + 0.5 * std::log(2);
  const std::vector<double> expected{rise, 0,    0,     // epoch 1: sample 1 has no visit, 2 never had one
                                     0,    0,    0,     // epoch 2: the first visit of sample 2
                                     fall, rise, fall,  // epoch 3: sample 1 against its visit in epoch 0
                                     0,    fall, 0};    // epoch 4: sample 2 has no visit
  const KlSeries series = read_official_series(folder_.path(), 5, kCarry);
  ASSERT_EQ(series.values.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(series.values[i], expected[i], 1e-7) << i;
    EXPECT_EQ(series.values[i] == 0, expected[i] == 0) << i;
  }
  EXPECT_EQ(series.visits.missing, (std::vector<std::int64_t>{1, 2, 1, 0, 1}));
  EXPECT_EQ(series.visits.never_visited, 0);
}

TEST_F(MissingVisitsTest, ChangesNoBitWhereNothingIsMissing) {
  const Recorded recorded = test::random_dynamics(500, 10, 5, 21);
  write(recorded);
  const KlSeries refused = read_official_series(folder_.path(), 5),
                 carried = read_official_series(folder_.path(), 5, kCarry);
  EXPECT_EQ(carried.values, refused.values);
  EXPECT_EQ(carried.samples, refused.samples);
  EXPECT_TRUE(refused.visits.missing.empty());
  EXPECT_EQ(carried.visits.missing, std::vector<std::int64_t>(5));
}

TEST_F(MissingVisitsTest, MatchesTheReferenceForAnyMissingVisits) {
  std::mt19937 random(22);
  for (const double visited : {0.98, 0.6, 0.1}) {
    SCOPED_TRACE(visited);
    Recorded recorded = test::random_dynamics(150, 7, 8, 23);
    std::bernoulli_distribution visit(visited);
    for (auto& ids : recorded.ids) std::erase_if(ids, [&](std::int64_t) { return !visit(random); });
    write(recorded);
    const KlSeries series = read_official_series(folder_.path(), 8, {.carry = true, .samples = 150});
    expect_equals_reference(series, recorded);
    for (std::size_t epoch = 0; epoch < 8; ++epoch)
      EXPECT_EQ(series.visits.missing[epoch], 150 - static_cast<std::int64_t>(recorded.ids[epoch].size()));
  }
}

TEST_F(MissingVisitsTest, TakesTheFilesOfALoaderThatDropsItsLastBatch) {
  Recorded recorded = test::random_dynamics(103, 10, 6, 24);
  for (auto& ids : recorded.ids) ids.resize(96);  // batches of 32
  write(recorded);
  expect_equals_reference(read_official_series(folder_.path(), 6, kCarry), recorded);
  const std::string said = refusal({.accept = "give --accept"}, 6);
  EXPECT_NE(said.find("0_Index.npy: 7 of 103 samples"), std::string::npos) << said;
  EXPECT_NE(
      said.find("not visited in epoch 0: the loader dropped the last incomplete batch (drop_last=True)"),
      std::string::npos)
      << said;
  EXPECT_NE(said.find("(drop_last=False), or give --accept"), std::string::npos) << said;
}

TEST_F(MissingVisitsTest, SaysWhereTheNumberOfSamplesIsFrom) {
  Recorded recorded = test::random_dynamics(20, 3, 3, 27);
  for (auto& ids : recorded.ids) std::erase(ids, 4);
  write(recorded);
  for (const auto& [samples, words] :
       {std::pair{0, "1 of 20 samples (the largest id plus one)"}, {20, "1 of 20 samples (as given)"}})
    EXPECT_NE(refusal({.samples = samples}, 3).find(words), std::string::npos)
        << refusal({.samples = samples}, 3);
}

TEST_F(MissingVisitsTest, CountsSamplesThatAreNeverVisited) {
  Recorded recorded = test::random_dynamics(40, 3, 4, 25);
  for (auto& ids : recorded.ids) std::erase_if(ids, [](std::int64_t id) { return id == 11 || id >= 38; });
  write(recorded);
  EXPECT_EQ(read_official_series(folder_.path(), 4, kCarry).samples, 38);
  EXPECT_EQ(read_official_series(folder_.path(), 4, kCarry).visits.never_visited, 1);
  const KlSeries series = read_official_series(folder_.path(), 4, {.carry = true, .samples = 40});
  EXPECT_EQ(series.visits.never_visited, 3);
  expect_equals_reference(series, recorded);
}

TEST_F(MissingVisitsTest, RejectsInvalidVisits) {
  const auto expect = [&](const MissingVisits& rule, const std::string& words) {
    const std::string said = refusal(rule, 3);
    EXPECT_NE(said.find(words), std::string::npos) << said;
  };
  const Recorded whole = test::random_dynamics(9, 3, 3, 26);
  Recorded recorded = whole;
  recorded.ids[1] = {4, 7, 2, 7};
  write(recorded);
  for (const bool carry : {false, true}) {
    const std::string said = refusal({.carry = carry}, 3);
    EXPECT_NE(said.find("1_Index.npy holds the sample id 7 twice"), std::string::npos) << said;
    EXPECT_NE(said.find("in an epoch (1)"), std::string::npos) << said;
  }
  write(whole);
  expect({.carry = true, .samples = 8}, "holds the sample id 8; with 8 samples the ids are 0 to 7");
  write_npy(folder_ / "2_Index.npy", std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, std::int64_t{1} << 60},
            {9});
  expect(kCarry, "2_Index.npy holds the sample id 1152921504606846976, but no epoch visits more than 9");
  write_npy(folder_ / "2_Index.npy", std::vector<std::int64_t>{0, 1, -2}, {3});
  expect(kCarry, "2_Index.npy holds the sample id -2");
  write_npy(folder_ / "2_Index.npy", std::vector<std::int64_t>{0, 1}, {2});
  expect(kCarry, "2_Index.npy lists 2 samples, but");
  for (const char* name : {"2_Output.npy", "2_Index.npy"}) {
    write(whole);
    const std::string bytes = test::read_text(folder_ / name);
    for (std::size_t length = 0; length < bytes.size(); length += 5) {
      test::write_text(folder_ / name, bytes.substr(0, length));
      expect(kCarry, name);
    }
  }
}

TEST_F(MissingVisitsTest, AStoreMustHaveTheGivenNumberOfSamples) {
  DynamicsHeader header;
  header.samples = 5;
  header.classes = 3;
  const std::string path = folder_ / "dynamics.tdds";
  DynamicsWriter(path, header).append(0, EpochDynamics(5));
  EXPECT_NO_THROW(DynamicsSource(path, {.carry = true, .samples = 5}));
  EXPECT_THROW(DynamicsSource(path, {.samples = 6}), Error);
}

}  // namespace
}  // namespace tdds
