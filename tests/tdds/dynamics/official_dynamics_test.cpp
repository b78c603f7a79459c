#include "tdds/dynamics/official_dynamics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <limits>

#include "engine/io/dynamics_store.h"
#include "engine/io/npy.h"
#include "kernels/runtime/check.h"
#include "tdds/dynamics/dynamics_source.h"
#include "tests/tdds/reference.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::Recorded;

class OfficialDynamicsTest : public testing::Test {
 protected:
  void write(const Recorded& recorded) {
    for (int epoch = 0; epoch < static_cast<int>(recorded.logits.size()); ++epoch)
      write_epoch(recorded, epoch, recorded.ids[static_cast<std::size_t>(epoch)]);
  }
  void write_epoch(const Recorded& recorded, int epoch, const std::vector<std::int64_t>& ids) {
    const std::vector<float> loss(ids.size());
    write_official_epoch(folder_.path(), epoch, loss, in_visiting_order(recorded, epoch, ids),
                         recorded.classes, ids);
  }
  std::string refusal(int epochs) {
    try {
      read_official_series(folder_.path(), epochs);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  test::TemporaryFolder folder_;
};

TEST_F(OfficialDynamicsTest, IsRightAtEveryConfidence) {
  for (const int classes : {2, 10, 37, 100}) {
    const Recorded recorded = test::random_dynamics(160, classes, 4, 1);
    write(recorded);
    const KlSeries series = read_official_series(folder_.path(), 4);
    const auto expected = test::reference_series(recorded);
    ASSERT_EQ(series.samples, 160);
    ASSERT_EQ(series.epochs, 4);
    ASSERT_EQ(series.values.size(), 3u * 160);
    for (std::size_t t = 0; t < 3; ++t) {
      for (std::size_t i = 0; i < 160; ++i) {
        // 1e-5 is required. The sums are in double, so only the rounding to float32 remains: 6e-8.
        const auto exact = static_cast<double>(expected[t][i]);
        EXPECT_NEAR(series.values[t * 160 + i], exact, 1e-7 * exact) << "confidence class " << i % 8;
      }
    }
  }
}

TEST_F(OfficialDynamicsTest, IsRightWhereASampleHardlyMoves) {
  Recorded recorded = test::random_dynamics(64, 10, 2, 2);
  recorded.logits[1] = recorded.logits[0];
  for (std::size_t i = 0; i < recorded.logits[1].size(); i += 3) recorded.logits[1][i] += 1e-4f;
  write(recorded);
  const KlSeries series = read_official_series(folder_.path(), 2);
  const auto expected = test::reference_series(recorded);
  for (std::size_t i = 0; i < 64; ++i) {
    const auto exact = static_cast<double>(expected[0][i]);
    // Double's 2e-16 on values that differ by 1e-4 of 1e-7.
    EXPECT_NEAR(series.values[i], exact, 2e-7 * exact);
  }
}

TEST_F(OfficialDynamicsTest, EqualLogitsHaveNoKlAndExtremeOnesAreFinite) {
  Recorded recorded = test::random_dynamics(8, 10, 3, 3);
  recorded.logits[1] = recorded.logits[0];
  for (std::size_t i = 0; i < 10; ++i) recorded.logits[2][i] = i == 4 ? 3e38f : -3e38f;
  write(recorded);
  const KlSeries series = read_official_series(folder_.path(), 3);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(series.values[i], 0.0f);
  const auto expected = test::reference_series(recorded);
  EXPECT_NEAR(series.values[8], static_cast<double>(expected[1][0]), 1e-6 * series.values[8]);
}

TEST_F(OfficialDynamicsTest, DependsNeitherOnTheVisitingOrderNorOnTheThreads) {
  const Recorded recorded = test::random_dynamics(2000, 10, 3, 4);
  write(recorded);
  const KlSeries series = read_official_series(folder_.path(), 3);
  std::vector<std::int64_t> backwards(2000);
  for (std::int64_t i = 0; i < 2000; ++i) backwards[static_cast<std::size_t>(i)] = 1999 - i;
  write_epoch(recorded, 1, backwards);
  EXPECT_EQ(read_official_series(folder_.path(), 3).values, series.values);
  const int threads = omp_get_max_threads();
  for (const int count : {1, 3}) {
    omp_set_num_threads(count);
    EXPECT_EQ(read_official_series(folder_.path(), 3).values, series.values);
  }
  omp_set_num_threads(threads);
  const KlSeries prefix = read_official_series(folder_.path(), 2);
  EXPECT_TRUE(std::equal(prefix.values.begin(), prefix.values.end(), series.values.begin()));
}

TEST_F(OfficialDynamicsTest, CountsTheEpochs) {
  EXPECT_THROW(find_official_files(folder_.path()), Error);
  EXPECT_THROW(find_official_files("/nonexistent"), Error);
  write(test::random_dynamics(4, 3, 12, 5));
  EXPECT_EQ(find_official_files(folder_.path()).epochs.size(), 12u);
  std::filesystem::remove(folder_ / "5_Output.npy");
  try {
    find_official_files(folder_.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("5_Output.npy is missing"), std::string::npos) << error.what();
  }
  std::filesystem::remove(folder_ / "0_Output.npy");
  try {
    find_official_files(folder_.path());
    FAIL();
  } catch (const Error& error) {
    const std::string said = error.what();
    EXPECT_NE(said.find("0_Output.npy is missing"), std::string::npos) << said;
    EXPECT_NE(said.find("writes no epoch 0 if npy/ did not exist"), std::string::npos) << said;
    EXPECT_NE(said.find("lower the number of every file by 1"), std::string::npos) << said;
  }
}

TEST_F(OfficialDynamicsTest, EpochsMayBePaddedWithZeros) {
  const Recorded recorded = test::random_dynamics(6, 3, 12, 7);
  write(recorded);
  const KlSeries plain = read_official_series(folder_.path(), 12);
  const auto rename = [&](int epoch, const char* what, const std::string& to) {
    std::filesystem::rename(folder_ / fmt::format("{}_{}.npy", epoch, what), folder_ / to);
  };
  for (int epoch = 0; epoch < 12; ++epoch) {
    rename(epoch, "Output", fmt::format("{:03}_Output.npy", epoch));
    // The two files of an epoch need not be padded alike.
    rename(epoch, "Index", fmt::format("{:0{}}_Index.npy", epoch, 1 + epoch % 4));
  }
  EXPECT_EQ(find_official_files(folder_.path()).epochs[7].output, "007_Output.npy");
  EXPECT_EQ(read_official_series(folder_.path(), 12).values, plain.values);
  std::filesystem::remove(folder_ / "0008_Index.npy");
  std::filesystem::remove(folder_ / "8_Index.npy");
  EXPECT_NE(refusal(12).find("008_Index.npy cannot be read: No such file"), std::string::npos) << refusal(12);
}

TEST_F(OfficialDynamicsTest, TwoFilesOfAnEpochAreRefusedByName) {
  write(test::random_dynamics(6, 3, 3, 8));
  for (const std::string what : {"Output", "Index"}) {
    const std::string first = "1_" + what + ".npy", second = "0" + first;
    std::filesystem::copy_file(folder_ / first, folder_ / second);
    EXPECT_NE(refusal(3).find(fmt::format("two files of epoch 1, {} and {}", second, first)),
              std::string::npos)
        << refusal(3);
    std::filesystem::remove(folder_ / second);
  }
  EXPECT_EQ(refusal(3), "accepted");
  EXPECT_NE(refusal(4).find("holds 3 epochs, but 4 were requested"), std::string::npos) << refusal(4);
}

TEST_F(OfficialDynamicsTest, ReportsFilesWithoutAnEpochNumber) {
  write(test::random_dynamics(6, 3, 3, 9));
  const std::vector<std::string> others{"+1_Output.npy", "-1_Output.npy", "99999999999_Index.npy",
                                        "_Output.npy", "best_Output.npy"};
  for (const std::string& name : others) test::write_text(folder_ / name, "");
  const OfficialFiles files = find_official_files(folder_.path());
  EXPECT_EQ(files.epochs.size(), 3u);
  EXPECT_EQ(files.ignored, others);
  EXPECT_EQ(
      DynamicsSource(folder_.str()).description(),
      "3 epochs of official .npy files; not read, because their names have no epoch number: +1_Output.npy, "
      "-1_Output.npy, 99999999999_Index.npy, _Output.npy, best_Output.npy");
}

TEST_F(OfficialDynamicsTest, NamesWhatIsWrong) {
  const auto expect = [&](const char* file, const char* words) {
    const std::string said = refusal(3);
    EXPECT_NE(said.find(file), std::string::npos) << said;
    EXPECT_NE(said.find(words), std::string::npos) << said;
  };
  const Recorded recorded = test::random_dynamics(6, 3, 3, 6);
  write(recorded);
  EXPECT_EQ(refusal(3), "accepted");

  write_epoch(recorded, 1, {0, 1, 2, 3, 4, 4});
  expect("1_Index.npy", "sample id 4 twice");
  write_epoch(recorded, 1, {0, 1, 2, 3, 4, 5});
  write_npy(folder_ / "1_Index.npy", std::vector<std::int64_t>{0, 1, 2, 3, 4, 12}, {6});
  expect("1_Index.npy", "sample id 12, but no epoch visits more than 6 samples");
  write_npy(folder_ / "1_Index.npy", std::vector<std::int64_t>{0, 1, 2, 3, 4, -1}, {6});
  expect("1_Index.npy", "sample id -1");
  write_npy(folder_ / "1_Index.npy", std::vector<std::int64_t>{0, 1, 2}, {3});
  expect("1_Index.npy", "lists 3 samples");
  write_npy(folder_ / "1_Index.npy", std::vector<float>(6), {6});
  expect("1_Index.npy", "'<i8'");
  std::filesystem::remove(folder_ / "1_Index.npy");
  expect("1_Index.npy", "No such file");

  write(recorded);
  write_npy(folder_ / "2_Output.npy", std::vector<float>(24), {6, 4});
  expect("2_Output.npy", "shape [6, 4], but epoch 0 has [6, 3]");
  write_npy(folder_ / "2_Output.npy", std::vector<float>(18), {18});
  expect("2_Output.npy", "2 dimensions are expected");
  write(recorded);
  const std::string whole = test::read_text(folder_ / "2_Output.npy");
  test::write_text(folder_ / "2_Output.npy", whole.substr(0, whole.size() - 1));
  expect("2_Output.npy", "truncated");

  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Recorded broken = recorded;
    broken.logits[1][3 * 4 + 2] = bad;
    write(broken);
    expect("1_Output.npy", "(sample id 4)");
  }
  // Every row is named, the first too.
  for (std::size_t row = 0; row < 6; ++row) {
    const std::int64_t id = recorded.ids[1][row];
    Recorded broken = recorded;
    broken.logits[1][static_cast<std::size_t>(3 * id)] = std::numeric_limits<float>::infinity();
    write(broken);
    expect("1_Output.npy", fmt::format("in row {} (sample id {})", row, id).c_str());
  }
  write_npy(folder_ / "0_Output.npy", std::vector<float>(6), {6, 1});
  expect("0_Output.npy", "[6, 1]");
}

}  // namespace
}  // namespace tdds
