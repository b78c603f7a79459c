// tdds-report end to end: the real program on a recorded run, what its page holds, and what a browser makes of it.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/dataset.h"
#include "engine/dynamics_store.h"
#include "tests/apps/program.h"

namespace tdds::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr int kEpochs = 12, kSamples = 200, kClasses = 10, kImages = 6;

const Dataset& shapes() {
  static const Dataset data = [] {
    DatasetOptions options;
    options.name = "shapes";
    options.shapes_train = kSamples;
    options.shapes_test = 10;
    options.seed = 7;
    return load_dataset(options);
  }();
  return data;
}

DynamicsHeader header_of_shapes() {
  DynamicsHeader header;
  header.samples = kSamples;
  header.classes = kClasses;
  header.dataset = "shapes";
  header.fingerprint = shapes().fingerprint;
  header.seed = 7;
  header.labels = shapes().train.labels;
  return header;
}

// Samples learned at different speeds; those with a wrong label hardly at all.
void write_store(const std::string& path, const DynamicsHeader& header, int epochs = kEpochs) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(0.01f, 1);
  DynamicsWriter writer(path, header);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    EpochDynamics values(header.samples);
    for (std::size_t i = 0; i < values.kl.size(); ++i) {
      const bool wrong = shapes().truth->wrong_label[i] != 0;
      const float p =
          wrong ? 0.02f * uniform(random)
                : 0.99f - 0.9f * std::exp(-0.1f * static_cast<float>(1 + i % 5) * (epoch + uniform(random)));
      values.kl[i] = epoch > 0 ? 0.3f * uniform(random) : 0;
      values.loss[i] = -std::log(p);
      values.log_other[i] = std::log(0.9f * (1 - p));
      values.entropy[i] = uniform(random);
      values.el2n[i] = 1 - p;
      values.correct[i] = p > 0.5f;
    }
    writer.append(epoch, values);
  }
}

json sweep_of(int samples) {
  json sweep{{"format", "tdds-sweep-1"},
             {"dataset", "shapes"},
             {"arch", "resnet18"},
             {"width", 0.25},
             {"epochs", 8},
             {"budget", "epochs"},
             {"samples", samples},
             {"settings", json::object()},
             {"scoring_runs", json::array()},
             {"runs", json::array()},
             {"wrong_labels", json::array()}};
  for (int seed = 1; seed <= 3; ++seed) {
    sweep["scoring_runs"].push_back(
        {{"seed", seed}, {"folder", "run"}, {"best_accuracy", 90 + seed}, {"last_accuracy", 89 + seed}});
    sweep["wrong_labels"].push_back({{"method", "aum"},
                                     {"seed", seed},
                                     {"end", "high"},
                                     {"count", 20},
                                     {"precision", 0.5 + 0.1 * seed},
                                     {"recall", 0.5}});
    for (const char* method : {"tdds", "random"})
      for (const double rate : {0.7, 0.3})
        sweep["runs"].push_back({{"method", method},
                                 {"rate", rate},
                                 {"seed", seed},
                                 {"kept", 60},
                                 {"best_accuracy", 80 - 10 * rate + seed},
                                 {"last_accuracy", 79.0 + seed}});
  }
  return sweep;
}

class ReportProgramTest : public testing::Test {
 protected:
  // Every written store waits for the disk, so it is written once and copied for each test.
  static void SetUpTestSuite() {
    recording_ = std::make_unique<TemporaryFolder>();
    write_store(*recording_ / "dynamics.tdds", header_of_shapes());
  }
  static void TearDownTestSuite() { recording_.reset(); }
  ReportProgramTest() {
    std::filesystem::create_directories(folder_ / "run");
    std::filesystem::copy_file(*recording_ / "dynamics.tdds", store_);
  }

  Outcome report(const std::vector<std::string>& flags, const Limits& limits = {}) const {
    std::vector<std::string> args{"--output", page_, "--images", std::to_string(kImages)};
    args.insert(args.end(), flags.begin(), flags.end());
    return run_tool("tdds-report", args, limits);
  }
  // The page's data after a run that must succeed.
  json data_of(const std::vector<std::string>& flags) const {
    const Outcome outcome = report(flags);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::string page = read_text(page_), begin = "<script type=\"application/json\" id=\"data\">";
    const std::size_t from = page.find(begin) + begin.size();
    return json::parse(page.substr(from, page.find("</script>", from) - from));
  }
  void expect_refusal(const std::vector<std::string>& flags, int exit_code, const std::string& words) const {
    const Outcome outcome = report(flags);
    EXPECT_EQ(outcome.exit_code, exit_code) << words << outcome.out;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-report")) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(words));
    EXPECT_FALSE(std::filesystem::exists(page_));
  }
  void expect_sweep_refusal(const json& sweep, const std::string& words) const {
    write_text(sweep_, sweep.dump());
    expect_refusal({"--sweep", sweep_}, 1, words);
  }

  static inline std::unique_ptr<TemporaryFolder> recording_;
  TemporaryFolder folder_;
  std::string run_ = folder_ / "run", store_ = folder_ / "run/dynamics.tdds", page_ = folder_ / "report.html",
              sweep_ = folder_ / "sweep.json";
};

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

TEST_F(ReportProgramTest, ASweepIsSummedUpOverItsSeeds) {
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
}

// The runs of a sweep have seeds of their own, and share data drawn by the sweep's.
TEST_F(ReportProgramTest, TheImagesOfASweepAreDrawnByItsOwnSeed) {
  DynamicsHeader header = header_of_shapes();
  header.seed = 3;
  std::filesystem::remove(store_);
  write_store(store_, header);
  json sweep = sweep_of(kSamples);
  for (const char* seed : {"7", "8", "no number"}) {
    sweep["settings"]["manualSeed"] = seed;
    write_text(sweep_, sweep.dump());
    EXPECT_EQ(data_of({"--sweep", sweep_}).contains("sprite"), std::string(seed) == "7") << seed;
  }
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

TEST_F(ReportProgramTest, OptionsThatMakeNoSense) {
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

// Too short for TDDS and without its series: it still says what it can.
TEST_F(ReportProgramTest, ShortAndPartialRecordingsGiveWhatTheyAllow) {
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

TEST_F(ReportProgramTest, SweepsThatAreNone) {
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
  expect_sweep_refusal(bad, "an accuracy is a percentage");
  bad = good;
  bad["runs"][0]["method"] = 3;
  expect_sweep_refusal(bad, "is not a file that tdds-sweep wrote");
  bad = good;
  bad["samples"] = 4000;
  expect_sweep_refusal(bad, "is of 4000 samples");
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

// What a browser makes of the page.
class ReportBrowserTest : public ReportProgramTest {
 protected:
  void SetUp() override {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
      if (browser_.empty() && std::system(fmt::format("command -v {} >/dev/null 2>&1", name).c_str()) == 0)
        browser_ = name;
    if (browser_.empty()) GTEST_SKIP() << "no Chromium is installed (Debian: chromium)";
  }

  // The page as it stands when its scripts have run.
  std::string opened(const std::string& page) {
    const std::string dom = folder_ / "dom.html", log = folder_ / "log";
    const int status = std::system(
        fmt::format("timeout 120 {} --headless --no-sandbox --disable-gpu --enable-logging=stderr "
                    "--user-data-dir={} --dump-dom file://{} >{} 2>{}",
                    browser_, folder_ / "profile", page, dom, log)
            .c_str());
    EXPECT_EQ(status, 0) << read_text(log);
    console_.clear();
    std::istringstream lines(read_text(log));
    for (std::string line; std::getline(lines, line);)
      if (line.find(":CONSOLE") != std::string::npos) console_ += line + "\n";
    return read_text(dom);
  }
  // How many marks the element with this id says it drew.
  static int drawn(const std::string& dom, const std::string& id) {
    const std::size_t at = dom.find(fmt::format("id=\"{}\"", id)), end = dom.find('>', at);
    const std::string name = "data-drawn=\"", tag = at == std::string::npos ? "" : dom.substr(at, end - at);
    const std::size_t value = tag.find(name);
    return value == std::string::npos ? -1 : std::stoi(tag.substr(value + name.size()));
  }
  static std::size_t count(const std::string& dom, const std::string& what) {
    std::size_t times = 0;
    for (std::size_t at = 0; (at = dom.find(what, at)) != std::string::npos; ++at) ++times;
    return times;
  }

  static constexpr const char* kNotDrawn = "<p class=\"warning\">This section could not be drawn: ";
  std::string browser_, console_;
};

TEST_F(ReportBrowserTest, EveryChartIsDrawn) {
  write_text(sweep_, sweep_of(kSamples).dump());
  const json data = data_of({"--sweep", sweep_});
  const std::string dom = opened(page_);
  EXPECT_EQ(console_, "");
  EXPECT_EQ(count(dom, kNotDrawn), 0u);
  EXPECT_EQ(count(dom,
                  "data-sections=\"accuracy histograms methods settings map images balance suspects "
                  "definitions\""),
            1u);
  EXPECT_EQ(drawn(dom, "accuracy-last"), 4);
  EXPECT_EQ(drawn(dom, "accuracy-best"), 4);
  for (const json& score : data["scores"]) {
    int bars = 0;
    for (const std::int64_t samples : score["histogram"]["counts"]) bars += samples > 0;
    EXPECT_EQ(drawn(dom, "histogram-" + score["name"].get<std::string>()), bars);
  }
  const std::size_t methods = data["scores"].size(), settings = data["setting_correlations"]["names"].size();
  EXPECT_EQ(drawn(dom, "method-correlations"), static_cast<int>(methods * methods));
  EXPECT_EQ(drawn(dom, "setting-correlations"), static_cast<int>(settings * settings));
  EXPECT_EQ(drawn(dom, "data-map"), kSamples);
  EXPECT_EQ(drawn(dom, "class-balance"), kClasses);
  std::size_t tiles = 0;
  for (const json& sheet : data["sheets"]) tiles += sheet["tiles"].size();
  EXPECT_EQ(count(dom, "class=\"thumb\""), tiles);
  EXPECT_EQ(count(dom, "class=\"spark\""), tiles);
  EXPECT_EQ(count(dom, "class=\"sheet\" aria-label="), data["sheets"].size());
}

TEST_F(ReportBrowserTest, ChartsHaveWordsAndTables) {
  write_text(sweep_, sweep_of(kSamples).dump());
  ASSERT_EQ(report({"--sweep", sweep_}).exit_code, 0);
  const std::string dom = opened(page_);
  const std::size_t figures = count(dom, "<figure ");
  EXPECT_GE(figures, 13u);
  EXPECT_EQ(count(dom, "<figcaption>"), figures);
  EXPECT_GE(count(dom, "The same as a table"), figures);
  // Every drawing is named for a screen reader, or hidden from it.
  EXPECT_EQ(count(dom, "<svg "), count(dom, "role=\"img\" aria-label=") -
                                     count(dom, "class=\"thumb\" role=\"img\"") +
                                     count(dom, "<svg viewBox=\"0 0 34 14\" aria-hidden=\"true\""));
}

TEST_F(ReportBrowserTest, SectionsWithoutDataStayHidden) {
  ASSERT_EQ(report({"--dynamics_path", run_, "--method", "tdds"}).exit_code, 0);
  const std::string dom = opened(page_);
  EXPECT_EQ(console_, "");
  EXPECT_EQ(count(dom, "data-sections=\"histograms settings map images balance suspects definitions\""), 1u);
  EXPECT_EQ(drawn(dom, "accuracy-last"), -1);
}

TEST_F(ReportBrowserTest, ABrokenPageIsNoticed) {
  ASSERT_EQ(report({"--dynamics_path", run_}).exit_code, 0);
  std::string page = read_text(page_);
  const std::string key = "\"method_correlations\":{\"names\"";
  ASSERT_NE(page.find(key), std::string::npos);
  page.replace(page.find(key), key.size(), "\"method_correlations\":{\"nomes\"");
  write_text(folder_ / "broken.html", page);
  const std::string dom = opened(folder_ / "broken.html");
  EXPECT_NE(console_, "");
  EXPECT_EQ(count(dom, kNotDrawn), 1u);
  EXPECT_EQ(drawn(dom, "data-map"), kSamples);
}

}  // namespace
}  // namespace tdds::test
