// Rows and ids: what a run leaves about which samples it had, and what was planted into them.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/dataset.h"
#include "engine/npy.h"
#include "tests/apps/program.h"

namespace tdds::test {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::int64_t>;

std::vector<std::string> with(std::vector<std::string> args, const std::vector<std::string>& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

// Lines of cells without quotation marks.
std::vector<std::vector<std::string>> csv_of(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream text(read_text(path));
  for (std::string line; std::getline(text, line);) {
    rows.emplace_back(1);
    for (const char c : line) {
      if (c == ',')
        rows.back().emplace_back();
      else
        rows.back().back() += c;
    }
  }
  return rows;
}

class SampleIdsProgramTest : public testing::Test {
 protected:
  Outcome train(const std::vector<std::string>& more = {}) {
    return run_tool("tdds-train", with({"--dataset",
                                        "shapes",
                                        "--shapes_train",
                                        "100",
                                        "--shapes_test",
                                        "20",
                                        "--wrong_label_fraction",
                                        "0.2",
                                        "--duplicate_fraction",
                                        "0.3",
                                        "--width",
                                        "0.03125",
                                        "--batch-size",
                                        "50",
                                        "--epochs",
                                        "3",
                                        "--learning_rate",
                                        "0.01",
                                        "--dynamics",
                                        "--overwrite",
                                        "--save_path",
                                        run_},
                                       more));
  }
  // The same data set, as the engine draws it.
  Dataset data(double val_fraction) const {
    DatasetOptions options;
    options.name = "shapes";
    options.shapes_train = 100;
    options.shapes_test = 20;
    options.wrong_label_fraction = 0.2;
    options.duplicate_fraction = 0.3;
    options.val_fraction = val_fraction;
    return load_dataset(options);
  }

  TemporaryFolder folder_;
  std::string run_ = folder_ / "run", masks_ = folder_ / "masks";
};

TEST_F(SampleIdsProgramTest, OfDrawnSamplesAllIsToldThatWasPlanted) {
  const Outcome outcome = train({"--val_fraction", "0.2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Dataset expected = data(0.2);
  const PlantedTruth& truth = *expected.truth;
  const auto lines = csv_of(run_ + "/planted.csv");
  ASSERT_EQ(lines.size(), 81u);
  int duplicates = 0, wrong = 0;
  for (std::size_t row = 0; row < 80; ++row) {
    const std::vector<std::string>& cells = lines[row + 1];
    ASSERT_EQ(cells.size(), 7u);
    EXPECT_EQ(cells[0], std::to_string(row));
    EXPECT_EQ(cells[1], std::to_string(expected.train_ids[row]));
    EXPECT_EQ(cells[2], std::to_string(expected.train.labels[row]));
    EXPECT_EQ(cells[3], std::to_string(truth.true_labels[row]));
    EXPECT_EQ(cells[4], "");
    EXPECT_EQ(cells[5], truth.duplicate_of[row] < 0 ? "" : std::to_string(truth.duplicate_of[row]));
    EXPECT_NEAR(std::stod(cells[6]), truth.difficulty[row], 6e-5);
    duplicates += cells[5].empty() ? 0 : 1;
    wrong += cells[2] == cells[3] ? 0 : 1;
  }
  EXPECT_GT(duplicates, 15);
  EXPECT_EQ(read_npy_i64(run_ + "/wrong_label_ids.npy").size(), static_cast<std::size_t>(wrong));
  EXPECT_EQ(train({"--duplicate_fraction", "0.6"}).exit_code, 2);
}

TEST_F(SampleIdsProgramTest, ARunSaysWhichSamplesItsRowsAre) {
  ASSERT_EQ(train({"--val_fraction", "0.2"}).exit_code, 0);
  const Dataset expected = data(0.2);
  EXPECT_EQ(read_npy_i64(run_ + "/train_ids.npy"), Ids(expected.train_ids.begin(), expected.train_ids.end()));
  ASSERT_EQ(train().exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(run_ + "/train_ids.npy")) << "every row is its id now";
}

TEST_F(SampleIdsProgramTest, NearDuplicatesAreJudgedBySweepAndReport) {
  const Outcome sweep = run_tool("tdds-sweep", {"--dataset",
                                                "shapes",
                                                "--shapes_train",
                                                "100",
                                                "--shapes_test",
                                                "20",
                                                "--width",
                                                "0.03125",
                                                "--batch-size",
                                                "50",
                                                "--subset_batch_size",
                                                "50",
                                                "--epochs",
                                                "3",
                                                "--learning_rate",
                                                "0.01",
                                                "--duplicate_fraction",
                                                "0.3",
                                                "--methods",
                                                "tdds,random",
                                                "--rates",
                                                "0.5",
                                                "--seeds",
                                                "1",
                                                "--save_path",
                                                folder_ / "sweep"});
  ASSERT_EQ(sweep.exit_code, 0) << sweep.err;
  EXPECT_NE(sweep.out.find("Near-duplicates: 30 of 100 samples"), std::string::npos) << sweep.out;
  const Json found = Json::parse(read_text(folder_ / "sweep/sweep.json")).at("near_duplicates");
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].at("count"), 30);
  const Outcome report = run_tool("tdds-report", {"--sweep", folder_ / "sweep/sweep.json", "--output",
                                                  folder_ / "r.html", "--duplicate_fraction", "0.3"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  const std::string page = read_text(folder_ / "r.html");
  EXPECT_NE(page.find("\"found_duplicates\":{\"planted\":30"), std::string::npos);
  EXPECT_NE(page.find("\"near_duplicates\":[{\"method\":\"tdds\""), std::string::npos);
}

}  // namespace
}  // namespace tdds::test
