// tdds-report end to end: the real program on a recorded run, and what its page holds.

#include "tests/apps/report/report_run.h"

namespace tdds::test {
namespace {

using testing::HasSubstr;

class ReportProgramTest : public ReportTest {};

TEST_F(ReportProgramTest, WritesAPageThatNeedsNothingElse) {
  const Outcome outcome = report({"--dynamics_path", run_});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("open it in a browser"));
  std::string page = read_text(page_);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(page.find("url(data:image/png;base64,iVBORw0KGgo"), std::string::npos);
  EXPECT_EQ(page.find("@DATA@"), std::string::npos);
  const std::string svg = "http://www.w3.org/2000/svg";  // a name, not an address
  page.replace(page.find(svg), svg.size(), "");
  for (const char* outside : {"http:", "https:", "<link", "src=\"", "@import"})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
}

TEST_F(ReportProgramTest, TheNumbersAreThoseOfTheRun) {
  const json data = data_of({"--dynamics_path", run_, "--subset_rate", "0.3"});
  std::vector<std::string> names;
  for (const json& score : data["scores"]) {
    names.push_back(score["name"]);
    const json& bins = score["histogram"];
    std::int64_t samples = 0, wrong = 0, kept = 0;
    for (const std::int64_t count : bins["counts"]) samples += count;
    for (const std::int64_t count : bins["wrong"]) wrong += count;
    for (const std::int64_t count : score["kept_by_class"]) kept += count;
    EXPECT_EQ(samples, kSamples) << score["name"];
    EXPECT_EQ(wrong, 20) << score["name"];
    EXPECT_EQ(kept, 140) << score["name"];
  }
  EXPECT_THAT(names,
              testing::IsSupersetOf({"tdds", "entropy", "el2n", "forgetting", "aum", "dyn_unc", "dual"}));
  EXPECT_EQ(names[0], "tdds");
  EXPECT_EQ(data["scores"][0]["setting"], "T=12 J=6 decay=0.9");
  const json& correlations = data["method_correlations"];
  ASSERT_EQ(correlations["names"].size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(correlations["values"][i][i], 1);
  EXPECT_GE(data["setting_correlations"]["names"].size(), 8u);
  EXPECT_EQ(data["found"]["planted"], 20);
  for (const json& method : data["found"]["methods"]) {
    if (method["name"] == "aum") {
      EXPECT_EQ(method["high"], 1);  // the wrong ones were never learned
    }
  }
  EXPECT_EQ(data["map"]["wrong"].size(), 20u);
}

TEST_F(ReportProgramTest, SheetsShowTheEndsOfEachOrder) {
  const json data = data_of({"--dynamics_path", run_, "--method", "aum,tdds"});
  ASSERT_EQ(data["scores"].size(), 2u);
  bool found = false;
  for (const json& sheet : data["sheets"]) {
    EXPECT_EQ(sheet["tiles"].size(), static_cast<std::size_t>(kImages));
    if (sheet["section"] != "suspects") continue;
    found = true;
    for (const std::size_t tile : sheet["tiles"]) {
      EXPECT_EQ(data["tiles"]["wrong"][tile], 1);
      EXPECT_NE(data["tiles"]["true"][tile], data["tiles"]["labels"][tile]);
    }
  }
  EXPECT_TRUE(found);
}

TEST_F(ReportProgramTest, AListOfSettingsShowsItsFirstPair) {
  const json data = data_of({"--dynamics_path", run_, "--trajectory_len", "8,12", "--window_size", "5,3,10"});
  EXPECT_EQ(data["scores"][0]["setting"], "T=8 J=5 decay=0.9");
  EXPECT_EQ(data["setting_correlations"]["names"],
            json({"T=8 J=3", "T=12 J=3", "T=8 J=5", "T=12 J=5", "T=12 J=10"}));
}

TEST_F(ReportProgramTest, OfficialFilesGiveTddsAlone) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<std::int64_t> ids(40);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i);
  for (int epoch = 0; epoch < 6; ++epoch) {
    std::vector<float> logits(40 * 3);
    for (float& z : logits) z = normal(random);
    write_official_epoch(folder_ / "npy", epoch, std::vector<float>(40), logits, 3, ids);
  }
  const json data = data_of({"--dynamics_path", folder_ / "npy"});
  ASSERT_EQ(data["scores"].size(), 1u);
  EXPECT_TRUE(data["map"].is_null());
  EXPECT_TRUE(data["classes"].is_null());
  EXPECT_FALSE(data["left_out"].empty());
  EXPECT_FALSE(data.contains("sprite"));
}

TEST_F(ReportProgramTest, ASweepIsSummarisedOverItsSeeds) {
  write_text(sweep_, sweep_of(kSamples).dump());
  const json data = data_of({"--sweep", sweep_});  // the dynamics are those of its first scoring run
  const json& methods = data["sweep"]["methods"];
  ASSERT_EQ(methods.size(), 2u);
  EXPECT_EQ(methods[0]["name"], "tdds");
  const json& point = methods[0]["points"][1];
  EXPECT_EQ(point["rate"], 0.7);
  EXPECT_EQ(point["best"]["count"], 3);
  EXPECT_NEAR(point["best"]["mean"].get<double>(), 75, 1e-9);
  EXPECT_NEAR(point["best"]["deviation"].get<double>(), 1, 1e-9);
  EXPECT_NEAR(data["sweep"]["full"]["last"]["mean"].get<double>(), 91, 1e-9);
  EXPECT_NEAR(data["sweep"]["wrong_labels"][0]["precision"]["mean"].get<double>(), 0.7, 1e-9);
  const json &all = data["sweep"]["trainings"][0], &low = data["sweep"]["trainings"][1];
  EXPECT_EQ(data["sweep"]["trainings"].size(), 3u);
  EXPECT_EQ(
      all,
      json(
          {{"rate", 0}, {"kept", kSamples}, {"batch", 50}, {"steps", 8 * (kSamples / 50)}, {"warning", ""}}));
  EXPECT_EQ(low["batch"], 20) << low;
  EXPECT_EQ(low["steps"], 80) << low;
  EXPECT_NE(low["warning"].get<std::string>().find("80 optimizer steps"), std::string::npos) << low;
}

// The runs of a sweep have their own seeds, and share data drawn with the sweep's seed.
TEST_F(ReportProgramTest, TheImagesOfASweepAreDrawnByItsOwnSeed) {
  DynamicsHeader header = header_of_shapes();
  header.seed = 3;
  std::filesystem::remove(store_);
  write_store(store_, header);
  json sweep = sweep_of(kSamples);
  for (const char* seed : {"7", "8"}) {
    sweep["settings"]["manualSeed"] = seed;
    write_text(sweep_, sweep.dump());
    EXPECT_EQ(data_of({"--sweep", sweep_}).contains("sprite"), std::string(seed) == "7") << seed;
  }
}

// The data flags come from the sweep's record or from the command line.
TEST_F(ReportProgramTest, TheImagesOfASweepAreThoseOfItsDataFlags) {
  const std::vector<std::string> data{"--dataset",
                                      "shapes",
                                      "--shapes_train",
                                      "120",
                                      "--shapes_test",
                                      "40",
                                      "--wrong_label_fraction",
                                      "0.3",
                                      "--duplicate_fraction",
                                      "0.2",
                                      "--label_noise",
                                      "0.1",
                                      "--corrupt",
                                      "fog,occlusion",
                                      "--corrupt_fraction",
                                      "0.4",
                                      "--val_fraction",
                                      "0.1",
                                      "--manualSeed",
                                      "5",
                                      "--data_path",
                                      folder_ / "none"};
  const std::string record = folder_ / "sweep/sweep.json";
  const Outcome sweep =
      run_tool("tdds-sweep", with(data, {"--width", "0.03125", "--epochs", "3", "--batch-size", "40",
                                         "--methods", "random", "--rates", "0.5", "--seeds", "1", "--decay",
                                         "0.001", "--score_decay", "0.7", "--save_path", folder_ / "sweep"}));
  ASSERT_EQ(sweep.exit_code, 0) << sweep.err;
  const json by_record = data_of({"--sweep", record}), by_flags = data_of(with(data, {"--sweep", record}));
  EXPECT_TRUE(by_record.contains("sprite")) << by_record["no_images"];
  EXPECT_EQ(by_record, by_flags);
  EXPECT_EQ(by_record["scores"][0]["setting"].get<std::string>().find("0.001"), std::string::npos);
}

TEST_F(ReportProgramTest, MissingDataOfASweepIsAnErrorOnlyIfRequested) {
  json sweep = sweep_of(kSamples);
  sweep["settings"]["dataset"] = "cifar100";
  sweep["settings"]["data_path"] = folder_ / "gone";
  write_text(sweep_, sweep.dump());
  EXPECT_THAT(data_of({"--sweep", sweep_})["no_images"], HasSubstr("gone"));
  std::filesystem::remove(page_);
  expect_refusal({"--sweep", sweep_, "--dataset", "cifar100"}, 1, "gone");
}

TEST_F(ReportProgramTest, ANameCannotEndTheScript) {
  DynamicsHeader header = header_of_shapes();
  header.dataset = "</script><script>alert(1)</script>";
  write_store(store_, header);
  const json data = data_of({"--dynamics_path", run_});
  EXPECT_THAT(data["facts"][0][1], HasSubstr("</script><script>alert(1)"));
  EXPECT_EQ(read_text(page_).find("<script>alert"), std::string::npos);
  EXPECT_THAT(data["no_images"], HasSubstr("--dataset"));
}

TEST_F(ReportProgramTest, ImagesOfAnotherRunAreNotShown) {
  DynamicsHeader header = header_of_shapes();
  header.seed = 8;
  write_store(store_, header);
  EXPECT_THAT(data_of({"--dynamics_path", run_})["no_images"],
              HasSubstr("was not recorded on these 200 images"));
  std::filesystem::remove(page_);
  expect_refusal({"--dynamics_path", run_, "--dataset", "shapes"}, 1, "give the data flags of the run");
}

TEST_F(ReportProgramTest, RejectsInvalidOptions) {
  expect_refusal({}, 2, "--dynamics_path is missing");
  expect_refusal({"--dynamics_path", run_, "--subset_rate", "1"}, 2, "between 0 and 1");
  expect_refusal({"--dynamics_path", run_, "--subset_rate", "0"}, 2, "between 0 and 1");
  expect_refusal({"--dynamics_path", run_, "--images", "0"}, 2, "1 to 200");
  expect_refusal({"--dynamics_path", run_, "--method", "magic"}, 2, "magic");
  expect_refusal({"--dynamics_path", run_, "--window_size", "2"}, 2, "2");
  expect_refusal({"--dynamics_path", run_, "--trajectory_len", "13"}, 2, "13");
  expect_refusal({"--dynamics_path", run_, "--trajectory_len", "4", "--window_size", "5"}, 2, "4");
  expect_refusal({"--dynamics_path", folder_ / "absent"}, 1, "absent");
  expect_refusal({"--dynamics_path", run_, "--dataset", "cifar100", "--data_path", folder_ / "none"}, 1,
                 "none");
}

// Too short for TDDS and without its series; the other methods are still shown.
TEST_F(ReportProgramTest, ShortAndPartialRecordingsShowTheMethodsTheyAllow) {
  DynamicsHeader header = header_of_shapes();
  header.fields = {DynamicsField::kLoss, DynamicsField::kEl2n};
  std::filesystem::remove(store_);
  write_store(store_, header, 1);
  const json data = data_of({"--dynamics_path", run_});
  ASSERT_EQ(data.at("scores").size(), 1u);
  EXPECT_EQ(data["scores"][0].at("name"), "el2n");
  EXPECT_THAT(data.at("left_out").dump(), HasSubstr("tdds: "));
  EXPECT_TRUE(data.at("setting_correlations").is_null());
}

TEST_F(ReportProgramTest, RejectsInvalidSweepFiles) {
  expect_refusal({"--sweep", folder_ / "absent.json"}, 1, "absent.json");
  write_text(sweep_, "{\"format\": ");
  expect_refusal({"--sweep", sweep_}, 1, "is not a file that tdds-sweep wrote");
  const json good = sweep_of(kSamples);
  json bad = good;
  bad["format"] = "tdds-sweep-9";
  expect_sweep_refusal(bad, "reads tdds-sweep-1");
  bad = good;
  bad.erase("runs");
  expect_sweep_refusal(bad, "'runs' not found");
  bad = good;
  bad["runs"] = json::array();
  expect_sweep_refusal(bad, "no finished run yet");
  bad = good;
  bad["runs"][0]["rate"] = 1.5;
  expect_sweep_refusal(bad, "not between 0 and 1");
  bad = good;
  bad["runs"][0]["last_accuracy"] = 101;
  expect_sweep_refusal(bad, "which is not between 0 and 100");
  bad = good;
  bad["runs"][0]["method"] = 3;
  expect_sweep_refusal(bad, "is not a file that tdds-sweep wrote");
  bad = good;
  bad["settings"]["manualSeed"] = "no number";
  expect_sweep_refusal(bad, "is not a file that tdds-sweep wrote: --manualSeed is 'no number'");
  bad = good;
  bad["samples"] = 4000;
  expect_sweep_refusal(bad, "has 4000 samples");
  bad = good;
  bad["scoring_runs"] = json::array();
  expect_sweep_refusal(bad, "no scoring run yet");
}

TEST_F(ReportProgramTest, AFullDiskLeavesNoHalfPage) {
  const Outcome outcome = report({"--dynamics_path", run_}, {.file_bytes = 20000});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("report.html"));
  EXPECT_FALSE(std::filesystem::exists(page_));
}

}  // namespace
}  // namespace tdds::test
