#include "apps/train/curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/io/files.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr int kWidth = 1200, kHeight = 500;
constexpr double kMargin = 32, kTitleBaseline = 42, kPanelTop = 104, kPanelBottom = 440, kGap = 44;
constexpr double kTickSpace = 52;  // left of a panel, for the numbers of its axis
constexpr int kTitleSize = 24, kHeadSize = 19, kTextSize = 16;
constexpr const char *kInk = "#1c212b", *kGrey = "#6b7380", *kGrid = "#e6e8ed", *kAxis = "#b3b8c2";
// Colours that colour-blind readers can tell apart (after Okabe and Ito).
constexpr const char* kCurveColours[] = {"#0073b3", "#e66600", "#009973", "#b36199"};

struct Axis {
  double low, high, step;
  double at_low, at_high;  // pixels

  double position(double value) const { return at_low + (value - low) / (high - low) * (at_high - at_low); }
  int decimals() const { return std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9))); }
};

// The smallest of 1, 2 and 5 times a power of ten that divides `span` into at most `most` parts.
double nice_step(double span, int most) {
  const double least = span / most;
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// The axis ends on ticks. It is valid even without values or with a single one.
Axis value_axis(std::span<const Curve> curves) {
  Range range;
  for (const Curve& curve : curves)
    for (double value : curve.values) range.include(value);
  if (range.low > range.high) range = {0, 1};
  const double least_span = std::max(1e-6, 1e-3 * std::max(std::abs(range.low), std::abs(range.high)));
  if (range.high - range.low < least_span) range = {range.low - least_span / 2, range.high + least_span / 2};
  const double step = nice_step(range.high - range.low, 6);
  return {step * std::floor(range.low / step), step * std::ceil(range.high / step), step, kPanelBottom,
          kPanelTop};
}

Axis epoch_axis(std::span<const double> epochs, double left, double right) {
  Range range;
  for (double epoch : epochs) range.include(epoch);
  if (range.low > range.high) range = {0, 1};
  if (range.high - range.low < 1) range = {range.low - 0.5, range.low + 0.5};
  const double step = std::max(1.0, nice_step(range.high - range.low, 8));
  return {range.low, range.high, step, left, right};
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (char c : text) safe += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return safe;
}

// `anchor` is the part of the text that is placed at x: start, middle or end.
std::string text_at(double x, double y, const char* anchor, int size, const char* colour,
                    const std::string& text) {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{}" fill="{}">{}</text>)"
                     "\n",
                     x, y, anchor, size, colour, escaped(text));
}

std::string line(double x1, double y1, double x2, double y2, const char* colour, int width = 1) {
  return fmt::format(
      R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{}"/>)"
      "\n",
      x1, y1, x2, y2, colour, width);
}

std::string axes(const Axis& x, const Axis& y) {
  std::string svg;
  const auto ticks = std::lround((y.high - y.low) / y.step);
  for (long i = 0; i <= ticks; ++i) {
    const double value = y.low + static_cast<double>(i) * y.step, at = y.position(value);
    svg += line(x.at_low, at, x.at_high, at, i == 0 ? kAxis : kGrid);
    svg += text_at(x.at_low - 10, at + 5, "end", kTextSize, kGrey,
                   fmt::format("{:.{}f}", value + 0.0, y.decimals()));
  }
  const auto last = static_cast<std::int64_t>(std::floor(x.high / x.step + 1e-9));
  for (auto i = static_cast<std::int64_t>(std::ceil(x.low / x.step - 1e-9)); i <= last; ++i) {
    const double value = static_cast<double>(i) * x.step, at = x.position(value);
    svg += line(at, kPanelBottom, at, kPanelBottom + 6, kAxis);
    svg += text_at(at, kPanelBottom + 22, "middle", kTextSize, kGrey, fmt::format("{:.0f}", value));
  }
  return svg + text_at((x.at_low + x.at_high) / 2, kPanelBottom + 44, "middle", kTextSize, kGrey, "epoch");
}

// A line for each run of finite values, or a point for a single value.
std::string strokes(const Curve& curve, std::span<const double> epochs, const Axis& x, const Axis& y,
                    const char* colour) {
  std::string svg, points;
  int count = 0;
  const auto finish_stroke = [&] {
    if (count == 1) points += points;
    if (count > 0)
      svg += fmt::format(
          R"(<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-linecap="round" )"
          R"(stroke-linejoin="round"/>)"
          "\n",
          points, colour, count == 1 ? "6" : "2.2");
    points.clear();
    count = 0;
  };
  for (std::size_t i = 0; i < curve.values.size(); ++i) {
    if (std::isfinite(curve.values[i])) {
      points += fmt::format("{:.1f},{:.1f} ", x.position(epochs[i]), y.position(curve.values[i]));
      ++count;
    } else {
      finish_stroke();
    }
  }
  finish_stroke();
  return svg;
}

// To the right of the panel's title: a stroke, the name and the last value of each curve, placed from the
// right.
std::string legend(const Panel& panel, double right) {
  constexpr double kLetterWidth = 0.55 * kTextSize;  // about that of common sans-serif fonts
  std::string svg;
  for (std::size_t i = panel.curves.size(); i-- > 0;) {
    const Curve& curve = panel.curves[i];
    const auto last = std::find_if(curve.values.rbegin(), curve.values.rend(),
                                   [](double value) { return std::isfinite(value); });
    const std::string text =
        last == curve.values.rend() ? curve.name : fmt::format("{} {:.4g}", curve.name, *last);
    svg += text_at(right, kPanelTop - 16, "end", kTextSize, kInk, text);
    right -= kLetterWidth * static_cast<double>(text.size());
    svg += line(right - 32, kPanelTop - 21, right - 10, kPanelTop - 21,
                kCurveColours[i % std::size(kCurveColours)], 3);
    right -= 56;
  }
  return svg;
}

std::string panel_svg(const Panel& panel, std::span<const double> epochs, double left, double right) {
  const Axis x = epoch_axis(epochs, left + kTickSpace, right), y = value_axis(panel.curves);
  std::string svg = text_at(x.at_low, kPanelTop - 16, "start", kHeadSize, kInk, panel.title);
  svg += legend(panel, right) + axes(x, y);
  for (std::size_t i = 0; i < panel.curves.size(); ++i)
    svg += strokes(panel.curves[i], epochs, x, y, kCurveColours[i % std::size(kCurveColours)]);
  return svg;
}

}  // namespace

void draw_curves(const std::filesystem::path& path, const std::string& title, std::span<const double> epochs,
                 std::span<const Panel> panels) {
  std::string svg =
      fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" )"
                  R"(font-family="DejaVu Sans, Verdana, sans-serif">)"
                  "\n"
                  R"(<rect width="{0}" height="{1}" fill="#fff"/>)"
                  "\n",
                  kWidth, kHeight);
  svg += text_at(kMargin, kTitleBaseline, "start", kTitleSize, kInk, title);
  const auto count = static_cast<double>(panels.size());
  const double width = (kWidth - 2 * kMargin - (count - 1) * kGap) / count;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    for (const Curve& curve : panels[i].curves)
      check(curve.values.size() <= epochs.size(), "draw_curves: {} has {} values for {} epochs", curve.name,
            curve.values.size(), epochs.size());
    const double left = kMargin + static_cast<double>(i) * (width + kGap);
    svg += panel_svg(panels[i], epochs, left, left + width);
  }
  write_file_atomically(path, svg + "</svg>\n");
}

}  // namespace tdds
