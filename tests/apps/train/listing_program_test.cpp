// Which files of a user's folder become samples, in which order, and what the programs report about the
// others.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/data/manifest.h"
#include "engine/io/npy.h"
#include "tests/apps/program.h"
#include "tests/engine/cifar_files.h"
#include "tests/engine/image_files.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using Ids = std::vector<std::int64_t>;

std::string png(int seed) {
  return png_bytes(test_pixels(seed, 8, 8), 8, 8);
}

std::string npy_u8(const std::string& shape, const std::string& data) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(117, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

class ListingProgramTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& bytes) { write_files(data_, {{name, bytes}}); }
  // Training images of these names, each with different pixels, and a test image of each class.
  void put_images(const Names& names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      put("train/" + names[i], png(static_cast<int>(i)));
      put("val/" + names[i].substr(0, names[i].find('/')) + "/0.png", png(100));
    }
  }
  Names data_flags() const { return {"--dataset", dataset_, "--data_path", data_, "--image_size", "8"}; }
  Names flags() const {
    return with(data_flags(), {"--width", "0.03125", "--batch-size", "10", "--epochs", "3", "--learning_rate",
                               "0.01", "--threads", "2"});
  }
  Outcome train(const Names& more = {}) {
    return run_tool("tdds-train",
                    with(with(flags(), {"--dynamics", "--overwrite", "--save_path", run_}), more));
  }
  Outcome score(const Names& more = {}) {
    return run_tool("tdds-score", with({"--dynamics_path", run_, "--mask_path", masks_, "--trajectory_len",
                                        "3", "--window_size", "3"},
                                       more));
  }
  Outcome train_subset(const Names& more = {}) {
    return run_tool("tdds-train-subset",
                    with(with(flags(), {"--save_path", folder_ / "subset", "--overwrite", "--subset_rate",
                                        "0.5", "--mask_path", masks_ + "/data_mask_win3_ep3.npy",
                                        "--score_path", masks_ + "/score_win3_ep3.npy"}),
                         more));
  }
  Outcome sweep(const Names& more = {}) {
    return run_tool("tdds-sweep",
                    with(with(flags(), {"--subset_batch_size", "10", "--methods", "tdds", "--rates", "0.5",
                                        "--seeds", "1", "--save_path", folder_ / "sweep"}),
                         more));
  }
  Outcome report(const Names& more = {}) {
    return run_tool(
        "tdds-report",
        with(with(data_flags(), {"--dynamics_path", run_, "--output", folder_ / "r.html"}), more));
  }
  // Every program that reads the images, after a training and a score.
  void expect_every_program_says(const std::string& sentence, const Names& more = {}) {
    std::map<std::string, Outcome> outcomes;
    outcomes["tdds-train"] = train(more);
    ASSERT_EQ(score().exit_code, 0);
    outcomes["tdds-train-subset"] = train_subset(more);
    outcomes["tdds-sweep"] = sweep(more);
    outcomes["tdds-report"] = report(more);
    for (const auto& [program, outcome] : outcomes) {
      EXPECT_EQ(outcome.exit_code, 0) << program << ": " << outcome.err;
      EXPECT_NE(outcome.out.find(sentence), std::string::npos) << program << ":\n" << outcome.out;
    }
    EXPECT_NE(read_text(run_ + "/log.txt").find(sentence), std::string::npos) << "in the log";
  }

  TemporaryFolder folder_;
  std::string dataset_ = "folder";
  const std::string data_ = folder_ / "data", run_ = folder_ / "run", masks_ = folder_ / "masks",
                    about_ = masks_ + "/score_win3_ep3.json";
};

TEST_F(ListingProgramTest, SamplesComeInTheOrderOfImageFolder) {
  const Names expected{"ab/a.png",     "ab/z.png",   "ab/a/1.png", "ab/a b/1.png",
                       "ab/a-b/1.png", "ab c/1.png", "ab c/2.png", "ab-c/1.png",
                       "ab-c/2.png",   "abc/10.png", "abc/2.pgm",  "abc/a/1.png"};
  put_images(expected);
  put("train/abc/2.pgm", "P5\n8 8\n255\n" + std::string(64, 'x'));
  const Outcome outcome = train();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_manifest(run_ + "/manifest.tsv").files, expected);
  EXPECT_EQ(outcome.out.find("ImageFolder"), std::string::npos) << outcome.out;
  ASSERT_EQ(score({"--keep", "6", "--export", "csv", "--export_dir", folder_ / "kept"}).exit_code, 0);
  std::istringstream lines(read_text(folder_ / "kept/tdds_win3_ep3_top_keep6.csv"));
  std::string line;
  std::getline(lines, line);
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(std::getline(lines, line));
    const std::string path = data_ + "/train/" + expected[std::stoul(line)];
    EXPECT_EQ(line.substr(line.find(',') + 1, path.size()), path);
  }
}

TEST_F(ListingProgramTest, EveryProgramSaysWhatIsLeftOut) {
  put_images({"a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png"});
  for (const char* name : {"a/4.webp", "a/5.webp", "b/notes.txt", "b/.DS_Store", "b/@eaDir/1.png/thumb.jpg"})
    put(std::string("train/") + name, "x");
  expect_every_program_says("5 files of " + data_ +
                            "/train were not read: 2 .webp, 1 .txt, 1 hidden, 1 in @eaDir (thumbnails)");
  const std::string log = read_text(run_ + "/log.txt");
  EXPECT_NE(log.find("sample ids from 3 on differ from those of ImageFolder"), std::string::npos) << log;
  EXPECT_NE(log.find("6 training images"), std::string::npos) << log;
}

TEST_F(ListingProgramTest, ALinkToAFolderAboveIsRefused) {
  put_images({"a/1.png", "a/2.png", "b/1.png", "b/2.png"});
  ASSERT_EQ(train().exit_code, 0);
  ASSERT_EQ(score().exit_code, 0);
  fs::create_directory_symlink("..", data_ + "/train/a/all");
  const std::map<std::string, Outcome> outcomes{{"tdds-train", train()},
                                                {"tdds-train-subset", train_subset()},
                                                {"tdds-sweep", sweep()},
                                                {"tdds-report", report()}};
  for (const auto& [program, outcome] : outcomes) {
    EXPECT_EQ(outcome.exit_code, 1) << program;
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
    EXPECT_NE(outcome.err.find(data_ + "/train/a/all is a link to"), std::string::npos) << outcome.err;
  }
}

TEST_F(ListingProgramTest, MaxTrainSamplesKeepsEveryClass) {
  Names names;
  for (const char* name : {"a", "b", "c"})
    for (int i = 0; i < (name[0] == 'c' ? 2 : 20); ++i)
      names.push_back(std::string(name) + "/" + std::to_string(i) + ".png");
  put_images(names);
  std::sort(names.begin(), names.end());
  expect_every_program_says("12 of 42 training images are kept, each class's share drawn by the seed",
                            {"--max_train_samples", "12", "--manualSeed", "5"});
  const Ids ids = read_npy_i64(run_ + "/train_ids.npy");
  const Manifest manifest = read_manifest(run_ + "/manifest.tsv");
  ASSERT_EQ(ids.size(), 12u);
  for (std::size_t row = 0; row < ids.size(); ++row)
    EXPECT_EQ(manifest.files[row], names[static_cast<std::size_t>(ids[row])]);
  EXPECT_EQ(std::count(manifest.labels.begin(), manifest.labels.end(), 2), 1);
  EXPECT_EQ(manifest.labels.size(), 12u);
}

TEST_F(ListingProgramTest, AMaskOfTheFirstImagesSaysWhatHasChanged) {
  const Names names{"a/1.png", "a/2.png", "a/3.png", "a/4.png", "b/1.png", "b/2.png", "b/3.png", "b/4.png"};
  put_images(names);
  const Names some{"--max_train_samples", "6"};
  ASSERT_EQ(train(some).exit_code, 0);
  ASSERT_EQ(score().exit_code, 0);
  Manifest before{data_ + "/train", "", {names.begin(), names.begin() + 6}, {}, {0, 0, 0, 0, 1, 1}};
  for (const std::string& file : before.files)
    before.bytes.push_back(fs::file_size(data_ + "/train/" + file));
  auto about = nlohmann::json::parse(read_text(about_));
  about["manifest"] = before.hash();
  about["fingerprint"] = "of other rows";
  write_text(about_, about.dump());
  const Outcome outcome = train_subset(some);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train-subset")) << outcome.err;
  EXPECT_NE(outcome.err.find("an earlier version took the first images"), std::string::npos) << outcome.err;
}

TEST_F(ListingProgramTest, ClassesWithoutATrainingImageAreNamed) {
  std::string labels(20, '\1'), pixels;
  for (int i = 0; i < 20; ++i) pixels += std::string(192, static_cast<char>(9 * i));
  labels[3] = '\4';
  put("train_images.npy", npy_u8("20, 8, 8, 3", pixels));
  put("train_labels.npy", npy_u8("20,", labels));
  put("test_images.npy", npy_u8("1, 8, 8, 3", std::string(192, 'x')));
  put("test_labels.npy", npy_u8("1,", "\1"));
  dataset_ = "npy";
  expect_every_program_says("3 of 5 classes have no training image: 0, 2, 3");
}

TEST_F(ListingProgramTest, ABalancedSelectionKeepsEveryClass) {
  Names names;
  for (int i = 0; i < 38; ++i) names.push_back("a/" + std::to_string(i) + ".png");
  put_images(with(names, {"b/1.png", "b/2.png"}));
  ASSERT_EQ(train().exit_code, 0);
  ASSERT_EQ(
      score({"--keep", "4", "--selection", "balanced", "--export", "list", "--export_dir", folder_ / "kept"})
          .exit_code,
      0);
  const std::string kept = read_text(folder_ / "kept/tdds_win3_ep3_balanced_keep4.txt");
  EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), 4);
  EXPECT_NE(kept.find("/b/"), std::string::npos) << kept;
}

TEST_F(ListingProgramTest, AHoldOutKeepsEveryClass) {
  put_images({"a/1.png", "a/2.png", "a/3.png", "a/4.png", "b/1.png", "b/2.png"});
  const Outcome outcome = train({"--val_fraction", "0.8"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Manifest manifest = read_manifest(run_ + "/manifest.tsv");
  EXPECT_EQ(std::count(manifest.labels.begin(), manifest.labels.end(), 1), 1);
}

TEST_F(ListingProgramTest, AMaskThatCountsThumbnailsIsRefusedWithTheReason) {
  put_images({"a/1.png", "a/2.png", "b/1.png", "b/2.png"});
  put("train/a/@eaDir/1.png", png(9));
  ASSERT_EQ(train().exit_code, 0);
  ASSERT_EQ(score().exit_code, 0);
  Manifest before{data_ + "/train",
                  "",
                  {"a/1.png", "a/2.png", "a/@eaDir/1.png", "b/1.png", "b/2.png"},
                  {},
                  {0, 0, 0, 1, 1}};
  for (const std::string& file : before.files)
    before.bytes.push_back(fs::file_size(data_ + "/train/" + file));
  write_npy(masks_ + "/data_mask_win3_ep3.npy", Ids{0, 1, 2, 3, 4}, {5});
  write_npy(masks_ + "/score_win3_ep3.npy", std::vector<float>{0, 1, 2, 3, 4}, {5});
  auto about = nlohmann::json::parse(read_text(about_));
  about["manifest"] = before.hash();
  about["fingerprint"] = "of other rows";
  write_text(about_, about.dump());
  const Outcome outcome = train_subset();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train-subset")) << outcome.err;
  EXPECT_NE(outcome.err.find("they are from an earlier version, which sorted"), std::string::npos)
      << outcome.err;
}

// Files of an earlier version, for a folder whose order has changed: rows sorted by path, and their manifest.
class EarlierOrderTest : public ListingProgramTest {
 protected:
  void SetUp() override {
    put_images({"a/1.png", "a/2.png", "a/3.png", "a/4.png", "b/1.png", "b/2.png"});
    ASSERT_EQ(train().exit_code, 0);
    ASSERT_EQ(score().exit_code, 0);
    ASSERT_EQ(sweep().exit_code, 0);
    // The same images in the same order of their paths; ImageFolder lists a/z3.png first.
    const Names files{"a/deep/1.png", "a/deep/2.png", "a/z3.png", "a/z4.png", "b/1.png", "b/2.png"};
    fs::create_directory(data_ + "/train/a/deep");
    for (int i = 0; i < 4; ++i)
      fs::rename(data_ + "/train/a/" + std::to_string(i + 1) + ".png", data_ + "/train/" + files[i]);
    const Manifest now = read_manifest(run_ + "/manifest.tsv");
    const Manifest before{now.folder, "", files, now.bytes, now.labels};
    for (const std::string& run : {run_, folder_ / "sweep/seed1/all"})
      write_text(run + "/manifest.tsv", before.text());
    auto about = nlohmann::json::parse(read_text(about_));
    about["manifest"] = before.hash();
    write_text(about_, about.dump());
  }
  static void expect_reason(const Outcome& outcome, const std::string& program) {
    EXPECT_EQ(outcome.exit_code, 1) << program;
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
    EXPECT_NE(outcome.err.find("sample ids now follow torchvision's ImageFolder"), std::string::npos)
        << outcome.err;
  }
};

TEST_F(EarlierOrderTest, EveryProgramRefusesItWithTheReason) {
  expect_reason(train_subset(), "tdds-train-subset");
  expect_reason(run_tool("tdds-train", with(flags(), {"--dynamics", "--resume", "--save_path", run_})),
                "tdds-train");
  expect_reason(score({"--keep", "3", "--export", "csv", "--export_dir", folder_ / "kept"}), "tdds-score");
  expect_reason(sweep(), "tdds-sweep");
  expect_reason(report(), "tdds-report");
}

TEST_F(EarlierOrderTest, OtherReasonsAreNotTakenForIt) {
  fs::remove_all(data_);
  put_images({"a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png"});
  const Outcome outcome = train_subset();
  EXPECT_NE(outcome.err.find("the scores are of other data"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("ImageFolder"), std::string::npos) << outcome.err;
}

TEST_F(EarlierOrderTest, OverwritingItIsAllowed) {
  EXPECT_EQ(train().exit_code, 0);
  EXPECT_EQ(score().exit_code, 0);
  EXPECT_EQ(train_subset().exit_code, 0);
}

}  // namespace
}  // namespace tdds::test
