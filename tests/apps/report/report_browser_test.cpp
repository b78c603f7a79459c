// The page of tdds-report in a browser.

#include <fmt/format.h>

#include <sstream>

#include "tests/apps/report/report_run.h"

namespace tdds::test {
namespace {

class ReportBrowserTest : public ReportTest {
 protected:
  void SetUp() override {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
      if (browser_.empty() && std::system(fmt::format("command -v {} >/dev/null 2>&1", name).c_str()) == 0)
        browser_ = name;
    if (browser_.empty()) GTEST_SKIP() << "no Chromium is installed (Debian: chromium)";
  }

  // The page after its scripts have run.
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
