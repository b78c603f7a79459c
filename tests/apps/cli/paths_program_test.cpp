// Folders and files of every name that a Linux file system allows, through every program: bytes in file
// names, UTF-8 in JSON, pages and logs.

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "engine/io/json_text.h"
#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/engine/image_files.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

bool is_utf8(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace).find("\uFFFD") == std::string::npos;
}

// Every JSON below `folder` parses, and every file that is read as text is UTF-8; returns how many there
// were.
int expect_texts_are_utf8(const std::string& folder) {
  int texts = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string end = entry.path().extension().string();
    if (end != ".json" && end != ".jsonl" && end != ".html" && end != ".md" &&
        entry.path().filename() != "log.txt")
      continue;
    ++texts;
    const std::string text = read_text(entry.path().string());
    EXPECT_TRUE(is_utf8(text)) << entry.path();
    EXPECT_TRUE(end != ".json" || Json::accept(text)) << entry.path();
  }
  return texts;
}

Json json_of(const std::string& path) {
  return Json::parse(read_text(path));
}

// The data that a page of tdds-report carries.
std::string data_of_page(const std::string& path) {
  const std::string page = read_text(path), begin = "<script type=\"application/json\" id=\"data\">";
  const std::size_t at = page.find(begin);
  EXPECT_NE(at, std::string::npos);
  return page.substr(at + begin.size(), page.find("</script>", at) - at - begin.size());
}

class PathsProgramTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  static Outcome expect_done(const std::string& program, const std::vector<std::string>& args) {
    Outcome outcome = run_tool(program, args);
    EXPECT_EQ(outcome.exit_code, 0) << program << ": " << outcome.err;
    return outcome;
  }
  // Two classes. One has the name of the folder, and a file with the same name.
  void write_images() const {
    for (const std::string split : {"train", "val"})
      for (const std::string& name : {std::string("cat"), std::string(GetParam())})
        for (int i = 0; i < 6; ++i) {
          const fs::path folder = fs::path(data_) / split / name;
          const std::string file = i == 0 ? std::string(GetParam()) : std::to_string(i);
          fs::create_directories(folder);
          write_text(folder / (file + ".png"),
                     png_bytes(test_pixels(i + (name == "cat" ? 40 : 0), 8, 8), 8, 8));
        }
  }
  std::vector<std::string> images() const {
    return {"--dataset",    "folder", "--data_path", data_,
            "--image_size", "8",      "--cache_dir", root_ + "/cache"};
  }
  std::vector<std::string> folder_run(const std::string& path) const {
    return with(images(), {"--width", "0.03125", "--batch-size", "4", "--epochs", "3", "--learning_rate",
                           "0.01", "--save_path", path});
  }

  TemporaryFolder folder_;
  const std::string root_ = folder_ / GetParam();
  const std::string run_ = root_ + "/run", masks_ = root_ + "/masks", data_ = root_ + "/data";
};

TEST_P(PathsProgramTest, ARunIsTrainedScoredPrunedAndReported) {
  const std::vector<std::string> train =
      with(tiny(run_, 4),
           {"--dynamics_npy", "--score", "tdds,el2n", "--window_size", "3", "--mask_path", masks_ + "/live"});
  expect_done("tdds-train", with(train, {"--stop_after_epoch", "2"}));
  expect_done("tdds-train", with(train, {"--resume"}));
  expect_done("tdds-train", with(train, {"--overwrite"}));
  EXPECT_EQ(bytes_of_utf8(json_of(masks_ + "/live/score_win3_ep4.json").at("dynamics").get<std::string>()),
            run_ + "/dynamics.tdds");
  expect_done("tdds-score", {"--dynamics_path", run_ + "/npy", "--mask_path", masks_ + "/npy",
                             "--trajectory_len", "4", "--window_size", "3"});
  expect_done("tdds-score",
              {"--dynamics_path", run_, "--mask_path", masks_, "--trajectory_len", "4", "--window_size", "3",
               "--subset_rate", "0.5", "--selection", "ccs", "--format", "npy,txt,csv,json"});
  expect_done("tdds-train-subset",
              with(tiny(root_ + "/subset", 2),
                   {"--subset_rate", "0.5", "--mask_path", masks_ + "/data_mask_win3_ep4.npy", "--score_path",
                    masks_ + "/score_win3_ep4.npy", "--init_weights", run_ + "/model_last.safetensors"}));
  expect_done("tdds-report", {"--dynamics_path", run_, "--output", root_ + "/report.html"});
  EXPECT_GE(expect_texts_are_utf8(folder_.str()), 10);
  const Json page = Json::parse(data_of_page(root_ + "/report.html"));
  const std::string shown = utf8_of(run_ + "/dynamics.tdds");
  EXPECT_NE(page.at("facts").dump().find(Json(shown).dump()), std::string::npos);
}

TEST_P(PathsProgramTest, FilesRecordTheirRun) {
  const std::vector<std::string> train =
      with(tiny(run_, 3), {"--score", "tdds", "--window_size", "3", "--mask_path", masks_, "--overwrite"});
  expect_done("tdds-train", train);
  expect_done("tdds-train", train);
  const Outcome other = run_tool("tdds-train", with(train, {"--save_path", root_ + "/other"}));
  EXPECT_NE(other.exit_code, 0);
  EXPECT_NE(other.err.find("belongs to another run"), std::string::npos) << other.err;
}

TEST_P(PathsProgramTest, FoldersOfImagesAreExportedAndShown) {
  write_images();
  for (const char* memory : {"1e-9", "0"})
    expect_done("tdds-train", with(folder_run(run_), {"--dynamics", "--overwrite", "--data_memory", memory}));
  const std::string kept = root_ + "/kept", stem = kept + "/tdds_win3_ep3_top_keep12";
  const std::string file = data_ + "/train/" + GetParam() + "/" + GetParam() + ".png";
  const bool listed = file.find('\n') == std::string::npos;
  const std::vector<std::string> score{"--dynamics_path",  run_, "--mask_path",   masks_,
                                       "--trajectory_len", "3",  "--window_size", "3",
                                       "--keep",           "12", "--export_dir",  kept};
  expect_done("tdds-score", with(score, {"--export", "csv,links"}));
  EXPECT_EQ(run_tool("tdds-score", with(score, {"--export", "list"})).exit_code, listed ? 0 : 1);
  EXPECT_TRUE(!listed || read_text(stem + ".txt").find(file + "\n") != std::string::npos) << "its bytes";
  std::string quoted;
  for (const char c : file) quoted.append(c == '"' ? 2 : 1, c);
  EXPECT_NE(read_text(stem + ".csv").find(quoted), std::string::npos);
  EXPECT_EQ(fs::read_symlink(stem + "/train/" + GetParam() + "/" + GetParam() + ".png").string(), file);
  // The links are a data set themselves.
  expect_done("tdds-train",
              with(folder_run(root_ + "/on_links"), {"--data_path", stem, "--val_fraction", "0.3"}));
  expect_done("tdds-report", with(images(), {"--dynamics_path", run_, "--output", root_ + "/report.html"}));
  const std::string page = data_of_page(root_ + "/report.html");
  EXPECT_EQ(page.find('<'), std::string::npos) << "no name ends the script";
  EXPECT_NE(Json::parse(page).dump().find(Json(utf8_of(GetParam())).dump()), std::string::npos)
      << "the class";
  EXPECT_GE(expect_texts_are_utf8(folder_.str()), 5);
}

TEST_P(PathsProgramTest, ASweepIsContinuedAndReported) {
  write_images();
  const std::string sweep = root_ + "/sweep";
  const std::vector<std::string> args =
      with(folder_run(sweep), {"--rates", "0.5", "--seeds", "1", "--subset_batch_size", "4",
                               "--trajectory_len", "3", "--window_size", "3"});
  expect_done("tdds-sweep", with(args, {"--methods", "tdds"}));
  const Outcome more = expect_done("tdds-sweep", with(args, {"--methods", "tdds,random"}));
  EXPECT_NE(more.out.find("3 runs, 1 of them on all 12 samples; 2 are done"), std::string::npos) << more.out;
  const Json settings = json_of(sweep + "/sweep.json").at("settings");
  EXPECT_EQ(bytes_of_utf8(settings.at("data_path").get<std::string>()), data_);
  expect_done("tdds-report",
              with(images(), {"--sweep", sweep + "/sweep.json", "--output", root_ + "/sweep.html"}));
  EXPECT_GE(expect_texts_are_utf8(folder_.str()), 10);
}

// Latin-1; characters that could break JSON, pages and shells; the longest name that leaves room for file
// endings.
const std::string kLong = "\xe9" + std::string(230, 'x');
std::string name_of_case(const testing::TestParamInfo<const char*>& of) {
  const std::array<const char*, 3> names{"Latin1", "Hostile", "Long"};
  return names.at(of.index);
}

INSTANTIATE_TEST_SUITE_P(Names, PathsProgramTest,
                         testing::Values("d\xe9j\xe0 vu", "a\"b'\\xe9\n<script>&amp;,$(x)\xff",
                                         kLong.c_str()),
                         name_of_case);

}  // namespace
}  // namespace tdds::test
