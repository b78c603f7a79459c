#include "apps/train/curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "apps/train/canvas.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr int kWidth = 1200, kHeight = 500;
constexpr float kMargin = 32, kTitleBaseline = 42, kPanelTop = 104, kPanelBottom = 440, kGap = 44;
constexpr float kTickSpace = 52;  // left of a panel, for the numbers of its axis
constexpr float kTitleSize = 24, kHeadSize = 19, kTextSize = 16;
constexpr Colour kInk{0.11F, 0.13F, 0.17F}, kGrey{0.42F, 0.45F, 0.50F}, kGrid{0.90F, 0.91F, 0.93F};
constexpr Colour kAxis{0.70F, 0.72F, 0.76F};
// Told apart by the colour-blind too (after Okabe and Ito).
constexpr Colour kCurveColours[] = {
    {0.00F, 0.45F, 0.70F}, {0.90F, 0.40F, 0.00F}, {0.00F, 0.60F, 0.45F}, {0.70F, 0.38F, 0.60F}};

struct Axis {
  double low, high, step;
  float at_low, at_high;  // pixels

  float position(double value) const {
    return at_low + static_cast<float>((value - low) / (high - low)) * (at_high - at_low);
  }
  int decimals() const { return std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9))); }
};

// The least of 1, 2, 5 times a power of ten that divides `span` into at most `most` parts.
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

// Ends on ticks. Nothing to show, or one value alone, still makes an axis.
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

Axis epoch_axis(std::span<const double> epochs, float left, float right) {
  Range range;
  for (double epoch : epochs) range.include(epoch);
  if (range.low > range.high) range = {0, 1};
  if (range.high - range.low < 1) range = {range.low - 0.5, range.low + 0.5};
  const double step = std::max(1.0, nice_step(range.high - range.low, 8));
  return {range.low, range.high, step, left, right};
}

void draw_axes(Canvas& canvas, const Axis& x, const Axis& y) {
  const auto ticks = std::lround((y.high - y.low) / y.step);
  for (long i = 0; i <= ticks; ++i) {
    const double value = y.low + static_cast<double>(i) * y.step;
    const float at = std::round(y.position(value));
    canvas.fill_rectangle({x.at_low, at}, {x.at_high, at + 1}, i == 0 ? kAxis : kGrid);
    canvas.draw_text(fmt::format("{:.{}f}", value + 0.0, y.decimals()), {x.at_low - 10, at + 5}, kTextSize,
                     kGrey, Align::kRight);
  }
  const auto last = static_cast<std::int64_t>(std::floor(x.high / x.step + 1e-9));
  for (auto i = static_cast<std::int64_t>(std::ceil(x.low / x.step - 1e-9)); i <= last; ++i) {
    const double value = static_cast<double>(i) * x.step;
    const float at = std::round(x.position(value));
    canvas.fill_rectangle({at, kPanelBottom}, {at + 1, kPanelBottom + 6}, kAxis);
    canvas.draw_text(fmt::format("{:.0f}", value), {at, kPanelBottom + 22}, kTextSize, kGrey, Align::kCentre);
  }
  canvas.draw_text("epoch", {(x.at_low + x.at_high) / 2, kPanelBottom + 44}, kTextSize, kGrey,
                   Align::kCentre);
}

void draw_curve(Canvas& canvas, const Curve& curve, std::span<const double> epochs, const Axis& x,
                const Axis& y, Colour colour) {
  std::vector<Point> stroke;
  const auto finish_stroke = [&] {
    if (!stroke.empty()) canvas.draw_line(stroke, stroke.size() == 1 ? 6.0F : 2.2F, colour);
    stroke.clear();
  };
  for (std::size_t i = 0; i < curve.values.size(); ++i) {
    if (std::isfinite(curve.values[i]))
      stroke.push_back({x.position(epochs[i]), y.position(curve.values[i])});
    else
      finish_stroke();
  }
  finish_stroke();
}

// Right of the panel's title, from the right: a stroke, the name, the last value.
void draw_legend(Canvas& canvas, const Panel& panel, float right) {
  for (std::size_t i = panel.curves.size(); i-- > 0;) {
    const Curve& curve = panel.curves[i];
    const auto last = std::find_if(curve.values.rbegin(), curve.values.rend(),
                                   [](double value) { return std::isfinite(value); });
    const std::string text =
        last == curve.values.rend() ? curve.name : fmt::format("{} {:.4g}", curve.name, *last);
    right -= canvas.draw_text(text, {right, kPanelTop - 16}, kTextSize, kInk, Align::kRight);
    const Point stroke[] = {{right - 32, kPanelTop - 21}, {right - 10, kPanelTop - 21}};
    canvas.draw_line(stroke, 3, kCurveColours[i % std::size(kCurveColours)]);
    right -= 56;
  }
}

}  // namespace

void draw_curves(const std::filesystem::path& path, const std::string& title, std::span<const double> epochs,
                 std::span<const Panel> panels) {
  Canvas canvas(kWidth, kHeight);
  canvas.draw_text(title, {kMargin, kTitleBaseline}, kTitleSize, kInk);
  const auto count = static_cast<float>(panels.size());
  const float width = (kWidth - 2 * kMargin - (count - 1) * kGap) / count;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const Panel& panel = panels[i];
    for (const Curve& curve : panel.curves)
      check(curve.values.size() <= epochs.size(), "draw_curves: {} has {} values for {} epochs", curve.name,
            curve.values.size(), epochs.size());
    const float left = kMargin + static_cast<float>(i) * (width + kGap), right = left + width;
    const Axis x = epoch_axis(epochs, left + kTickSpace, right);
    const Axis y = value_axis(panel.curves);
    canvas.draw_text(panel.title, {x.at_low, kPanelTop - 16}, kHeadSize, kInk);
    draw_legend(canvas, panel, right);
    draw_axes(canvas, x, y);
    for (std::size_t c = 0; c < panel.curves.size(); ++c)
      draw_curve(canvas, panel.curves[c], epochs, x, y, kCurveColours[c % std::size(kCurveColours)]);
  }
  canvas.write_png(path);
}

}  // namespace tdds
