#include "apps/train/curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>

#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::TemporaryFolder;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Point {
  double x, y;
};

// The points of every stroke of `colour`.
std::vector<std::vector<Point>> strokes(const std::string& svg, const std::string& colour) {
  std::vector<std::vector<Point>> found;
  const std::string begin = "<polyline points=\"";
  for (std::size_t at = 0; (at = svg.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    const std::size_t end = svg.find('"', at);
    if (svg.compare(svg.find("stroke=", end) + 8, colour.size(), colour) != 0) continue;
    std::istringstream numbers(svg.substr(at, end - at));
    found.emplace_back();
    char comma = 0;
    for (Point point{}; numbers >> point.x >> comma >> point.y;) found.back().push_back(point);
  }
  return found;
}

constexpr const char *kFirst = "#0073b3", *kSecond = "#e66600";

std::vector<double> epochs(int count) {
  std::vector<double> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 1.0);
  return numbers;
}

std::string drawn(std::span<const double> epochs, std::span<const Panel> panels,
                  const std::string& title = "resnet18 on cifar100") {
  const TemporaryFolder folder;
  draw_curves(folder / "curve.svg", title, epochs, panels);
  return read_file(folder / "curve.svg", 1 << 20);
}

TEST(CurveTest, EachCurveIsAStrokeOfItsColour) {
  const int n = 200;
  Panel loss{"loss", {{"train", {}}, {"test", {}}}}, accuracy{"accuracy, %", {{"train", {}}, {"test", {}}}};
  for (int i = 0; i < n; ++i) {
    for (Panel* panel : {&loss, &accuracy}) {
      panel->curves[0].values.push_back(4.2 * std::exp(-i / 30.0));
      panel->curves[1].values.push_back(0.9 + 3.1 * std::exp(-i / 30.0));
    }
  }
  const Panel panels[] = {loss, accuracy};
  const std::string svg = drawn(epochs(n), panels);
  for (const char* colour : {kFirst, kSecond}) {
    const auto lines = strokes(svg, colour);
    ASSERT_EQ(lines.size(), 2u) << colour;
    for (const auto& line : lines) {
      ASSERT_EQ(line.size(), 200u);
      for (std::size_t i = 1; i < line.size(); ++i) EXPECT_GT(line[i].x, line[i - 1].x);
      for (const Point& point : line)
        EXPECT_TRUE(point.x > 0 && point.x < 1200 && point.y > 0 && point.y < 500);
    }
    EXPECT_LT(lines[0].back().x, lines[1].front().x);
  }
  EXPECT_THAT(svg, AllOf(HasSubstr(">accuracy, %</text>"), HasSubstr(">test 0.9041</text>")));
}

TEST(CurveTest, AHigherValueIsHigher) {
  const Panel panels[] = {{"loss", {{"train", {0, 1}}}}};
  const auto line = strokes(drawn(std::vector<double>{1, 2}, panels), kFirst).at(0);
  EXPECT_GT(line.at(0).y, line.at(1).y + 200);
}

TEST(CurveTest, AValueThatIsMissingIsAGap) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Panel panels[] = {{"loss", {{"train", {1, 2, nan, 3}}}}};
  const auto lines = strokes(drawn(epochs(4), panels), kFirst);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].size(), 2u);
  EXPECT_EQ(lines[1].size(), 2u);  // a point: a stroke from it to itself
}

TEST(CurveTest, TextIsEscaped) {
  const Panel panels[] = {{"a & b", {{"<x>", {1}}}}};
  EXPECT_THAT(drawn(epochs(1), panels, "1 < 2"),
              AllOf(HasSubstr(">a &amp; b<"), HasSubstr(">&lt;x&gt; 1<"), HasSubstr(">1 &lt; 2<")));
}

TEST(CurveTest, FewOrOddValuesMakeAFile) {
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& values : {std::vector<double>{},
                                            {3},
                                            {nan},
                                            {infinity, 1, nan},
                                            {0, 0, 0},
                                            {1e30, -1e30},
                                            {1e-30},
                                            {5e8, 5e8 + 1}}) {
    const Panel panels[] = {{"loss", {{"train", values}}}};
    const std::string svg = drawn(epochs(static_cast<int>(values.size())), panels);
    EXPECT_THAT(svg, AllOf(testing::EndsWith("</svg>\n"), testing::Not(HasSubstr("nan")),
                           testing::Not(HasSubstr("inf"))));
  }
  EXPECT_THAT(drawn({}, {}), testing::EndsWith("</svg>\n"));
}

TEST(CurveTest, MoreValuesThanEpochsAreRefused) {
  const TemporaryFolder folder;
  const Panel panels[] = {{"loss", {{"train", {1, 2, 3}}}}};
  EXPECT_THAT([&] { draw_curves(folder / "curve.svg", "", epochs(2), panels); },
              ThrowsMessage<Error>(HasSubstr("train has 3 values for 2 epochs")));
}

}  // namespace
}  // namespace tdds
