#pragma once
// A small picture: anti-aliased lines and lettering on white, written as a PNG.

#include <array>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace tdds {

struct Colour {
  float red, green, blue;  // 0 to 1
};

struct Point {
  float x, y;  // pixels from the upper left corner
};

enum class Align { kLeft, kCentre, kRight };

class Canvas {
 public:
  Canvas(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }

  void fill_rectangle(Point upper_left, Point lower_right, Colour colour);
  // One stroke with round ends and joints; a single point is a dot.
  void draw_line(std::span<const Point> points, float thickness, Colour colour);
  // `anchor` is on the baseline, at the text's left end, middle or right end. Returns the text's width. Only
  // ASCII is drawn, other characters as `?`.
  float draw_text(std::string_view text, Point anchor, float pixels_high, Colour colour,
                  Align align = Align::kLeft);
  static float text_width(std::string_view text, float pixels_high);

  // Replaces the file atomically.
  void write_png(const std::filesystem::path& path) const;

 private:
  void blend(int x, int y, float coverage, Colour colour);

  int width_, height_;
  std::vector<Colour> pixels_;
};

}  // namespace tdds
