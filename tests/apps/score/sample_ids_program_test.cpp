// Rows and ids: the files of a run that record its samples and what was planted into them.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/data/dataset.h"
#include "engine/io/npy.h"
#include "tests/apps/program.h"

namespace tdds::test {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::int64_t>;

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

TEST_F(SampleIdsProgramTest, PlantedCsvDescribesEveryDrawnSample) {
  const Outcome outcome = train({"--val_fraction", "0.2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Dataset expected = data(0.2);
  const GroundTruth& truth = *expected.truth;
  const auto lines = csv_of(run_ + "/planted.csv");
  const auto samples = static_cast<std::size_t>(expected.train.count());
  ASSERT_LT(samples, 100u);
  ASSERT_EQ(lines.size(), samples + 1);
  int duplicates = 0, wrong = 0;
  for (std::size_t row = 0; row < samples; ++row) {
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
  const Outcome refused = train({"--duplicate_fraction", "0.6"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.err, "tdds-train: --duplicate_fraction is 0.6: choose 0 .. 0.5.\n");
}

TEST_F(SampleIdsProgramTest, TrainIdsMapRowsToSamples) {
  ASSERT_EQ(train({"--val_fraction", "0.2"}).exit_code, 0);
  const Dataset expected = data(0.2);
  EXPECT_EQ(read_npy_i64(run_ + "/train_ids.npy"), Ids(expected.train_ids.begin(), expected.train_ids.end()));
  ASSERT_EQ(train().exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(run_ + "/train_ids.npy")) << "every row is its id now";
}

TEST_F(SampleIdsProgramTest, MasksHoldRowsAndKeptFilesHoldIds) {
  const std::vector<std::string> held_out{"--val_fraction", "0.2"};
  ASSERT_EQ(train(held_out).exit_code, 0);
  const std::vector<std::string> args{"--dynamics_path",  run_,  "--mask_path",   masks_,
                                      "--trajectory_len", "3",   "--window_size", "3",
                                      "--subset_rate",    "0.5", "--format",      "npy,txt,csv,json"};
  const Outcome score = run_tool("tdds-score", args);
  ASSERT_EQ(score.exit_code, 0) << score.err;
  EXPECT_NE(score.out.find("by " + run_ + "/train_ids.npy"), std::string::npos) << score.out;

  const Ids all = read_npy_i64(run_ + "/train_ids.npy"),
            mask = read_npy_i64(masks_ + "/data_mask_win3_ep3.npy");
  const std::size_t samples = all.size();
  ASSERT_EQ(mask.size(), samples);
  EXPECT_GT(all.back(), *std::max_element(mask.begin(), mask.end()));
  Ids ids;
  for (std::size_t i = samples / 2; i < samples; ++i) ids.push_back(all[static_cast<std::size_t>(mask[i])]);
  std::sort(ids.begin(), ids.end());
  const std::string kept = masks_ + "/kept_tdds_win3_ep3_top_rate0.5.";
  EXPECT_EQ(read_npy_i64(kept + "npy"), ids);
  std::string text;
  for (const std::int64_t id : ids) text += std::to_string(id) + "\n";
  EXPECT_EQ(read_text(kept + "txt"), text);
  const Json about = Json::parse(read_text(kept + "json"));
  EXPECT_EQ(about.at("ids"), ids);
  EXPECT_EQ(about.at("train_ids"), run_ + "/train_ids.npy");
  const auto lines = csv_of(kept + "csv");
  ASSERT_EQ(lines.size(), samples + 1);
  for (std::size_t row = 0; row < samples; ++row) {
    EXPECT_EQ(lines[row + 1][0], std::to_string(all[row]));
    EXPECT_EQ(lines[row + 1][3] == "1", std::binary_search(ids.begin(), ids.end(), all[row]));
  }

  write_npy(run_ + "/train_ids.npy", Ids{0, 1, 2}, {3});
  const Outcome other = run_tool("tdds-score", args);
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(other.err, "tdds-score")) << other.err;
  EXPECT_NE(other.err.find("has the ids of 3 samples"), std::string::npos) << other.err;
  write_npy(run_ + "/train_ids.npy", mask, {static_cast<std::int64_t>(samples)});
  EXPECT_NE(run_tool("tdds-score", args).err.find("does not hold ascending ids"), std::string::npos);
}

TEST_F(SampleIdsProgramTest, SweepAndReportUseIdsAndEvaluateNearDuplicates) {
  const std::vector<std::string> drawn{"--shapes_train",       "100", "--wrong_label_fraction", "0.2",
                                       "--duplicate_fraction", "0.3", "--val_fraction",         "0.2"};
  const Outcome sweep = run_tool("tdds-sweep", with({"--dataset",
                                                     "shapes",
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
                                                     "--methods",
                                                     "tdds",
                                                     "--rates",
                                                     "0.5",
                                                     "--seeds",
                                                     "1",
                                                     "--save_path",
                                                     folder_ / "sweep"},
                                                    drawn));
  ASSERT_EQ(sweep.exit_code, 0) << sweep.err;
  const Dataset expected = data(0.2);
  const auto duplicates = std::count_if(expected.truth->duplicate_of.begin(),
                                        expected.truth->duplicate_of.end(), [](auto id) { return id >= 0; });
  EXPECT_NE(
      sweep.out.find(fmt::format("Near-duplicates: {} of {} samples", duplicates, expected.train.count())),
      std::string::npos)
      << sweep.out;
  const Json found = Json::parse(read_text(folder_ / "sweep/sweep.json")).at("near_duplicates");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].at("count"), duplicates);

  const std::string seed = folder_ / "sweep/seed1";
  const Ids mask = read_npy_i64(seed + "/scores/data_mask_win3_ep3.npy");
  Ids ids, said;
  for (std::size_t i = mask.size() / 2; i < mask.size(); ++i)
    ids.push_back(expected.train_ids[static_cast<std::size_t>(mask[i])]);
  std::sort(ids.begin(), ids.end());
  for (const auto& line : csv_of(seed + "/tdds_0.5/ids.txt")) said.push_back(std::stoll(line[0]));
  EXPECT_EQ(said, ids);
  EXPECT_EQ(Json::parse(read_text(seed + "/tdds_0.5/selection.json")).at("train_ids"),
            "seed1/all/train_ids.npy");

  const Outcome report =
      run_tool("tdds-report", with({"--dataset", "shapes", "--sweep", folder_ / "sweep/sweep.json",
                                    "--output", folder_ / "r.html", "--images", "100"},
                                   drawn));
  ASSERT_EQ(report.exit_code, 0) << report.err;
  const std::string page = read_text(folder_ / "r.html");
  EXPECT_NE(page.find(fmt::format("\"found_duplicates\":{{\"planted\":{}", duplicates)), std::string::npos);
  EXPECT_NE(page.find("\"near_duplicates\":[{\"method\":\"tdds\""), std::string::npos);
  const std::string start = "\"tiles\":{\"ids\":";
  const std::size_t at = page.find(start) + start.size();
  Ids shown = Json::parse(page.substr(at, page.find(']', at) + 1 - at)).get<Ids>();
  std::sort(shown.begin(), shown.end());
  EXPECT_EQ(shown, Ids(expected.train_ids.begin(), expected.train_ids.end()));
}

TEST_F(SampleIdsProgramTest, IdsOfExportsCountBadFilesToo) {
  std::vector<std::string> files;
  for (const std::string split : {"train", "test"})
    for (const std::string name : {"a", "b"}) {
      const std::string folder = folder_ / fmt::format("data/{}/{}", split, name);
      std::filesystem::create_directories(folder);
      for (int i = 0; i < 10; ++i) {
        const std::string file = name + "/" + std::to_string(i) + ".ppm";
        write_text(folder + "/" + std::to_string(i) + ".ppm",
                   "P6\n8 8\n255\n" + std::string(192, static_cast<char>(20 * i + (name == "a" ? 9 : 0))));
        if (split == "train") files.push_back(file);
      }
    }
  const Outcome memory = run_tool("tdds-train", {"--dataset", "folder", "--data_path", folder_ / "data",
                                                 "--data_memory=-1", "--save_path", run_});
  EXPECT_EQ(memory.exit_code, 2);
  EXPECT_TRUE(is_one_sentence(memory.err, "tdds-train")) << memory.err;
  write_text(folder_ / "data/train/a/1.ppm", "no image");
  const Outcome outcome =
      run_tool("tdds-train", {"--dataset", "folder", "--data_path", folder_ / "data", "--image_size", "8",
                              "--skip_bad", "--width", "0.03125", "--batch-size", "10", "--epochs", "3",
                              "--learning_rate", "0.01", "--dynamics", "--save_path", run_});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Outcome score = run_tool(
      "tdds-score", {"--dynamics_path", run_, "--mask_path", masks_, "--trajectory_len", "3", "--window_size",
                     "3", "--keep", "12", "--export", "csv", "--export_dir", folder_ / "kept"});
  ASSERT_EQ(score.exit_code, 0) << score.err;
  const auto lines = csv_of(folder_ / "kept/tdds_win3_ep3_top_keep12.csv");
  ASSERT_EQ(lines.size(), 13u);
  for (std::size_t i = 1; i < lines.size(); ++i)
    EXPECT_TRUE(lines[i][1].ends_with("/train/" + files[std::stoul(lines[i][0])])) << lines[i][1];
}

}  // namespace
}  // namespace tdds::test
