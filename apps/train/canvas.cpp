#include "apps/train/canvas.h"

#include <stb/stb_image_write.h>
#include <stb/stb_truetype.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/io/files.h"
#include "kernels/runtime/check.h"

namespace tdds {

std::string_view font_file(std::string_view name);  // embedded: font.ttf, the build's TDDS_FONT

namespace {

const stbtt_fontinfo& font() {
  static const stbtt_fontinfo kFont = [] {
    stbtt_fontinfo info;
    const auto* bytes = reinterpret_cast<const unsigned char*>(font_file("font.ttf").data());
    check(stbtt_InitFont(&info, bytes, stbtt_GetFontOffsetForIndex(bytes, 0)) != 0,
          "the font that this program was built with is no TrueType font; build it with another TDDS_FONT");
    return info;
  }();
  return kFont;
}

int glyph_code(char letter) {
  return letter >= ' ' && letter <= '~' ? letter : '?';
}

// Pixels from one letter's origin to the next one's.
float advance(char letter, char next, float scale) {
  int width = 0, bearing = 0;
  stbtt_GetCodepointHMetrics(&font(), glyph_code(letter), &width, &bearing);
  const int kerning =
      next == '\0' ? 0 : stbtt_GetCodepointKernAdvance(&font(), glyph_code(letter), glyph_code(next));
  return scale * static_cast<float>(width + kerning);
}

float distance_to_segment(Point p, Point a, Point b) {
  const float dx = b.x - a.x, dy = b.y - a.y;
  const float length2 = dx * dx + dy * dy;
  const float along =
      length2 > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0F, 1.0F) : 0.0F;
  return std::hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

}  // namespace

Canvas::Canvas(int width, int height)
    : width_(width), height_(height), pixels_(static_cast<std::size_t>(width) * height, Colour{1, 1, 1}) {}

void Canvas::blend(int x, int y, float coverage, Colour colour) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  Colour& pixel = pixels_[static_cast<std::size_t>(y) * width_ + x];
  pixel.red += coverage * (colour.red - pixel.red);
  pixel.green += coverage * (colour.green - pixel.green);
  pixel.blue += coverage * (colour.blue - pixel.blue);
}

void Canvas::fill_rectangle(Point upper_left, Point lower_right, Colour colour) {
  for (int y = static_cast<int>(upper_left.y); y < static_cast<int>(lower_right.y); ++y)
    for (int x = static_cast<int>(upper_left.x); x < static_cast<int>(lower_right.x); ++x)
      blend(x, y, 1, colour);
}

void Canvas::draw_line(std::span<const Point> points, float thickness, Colour colour) {
  // The stroke's coverage is gathered first, so that joints are not painted twice.
  std::vector<float> coverage(pixels_.size(), 0.0F);
  const float reach = thickness / 2 + 0.5F;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Point a = points[i], b = points[std::min(i + 1, points.size() - 1)];
    const int left = std::max(0, static_cast<int>(std::floor(std::min(a.x, b.x) - reach)));
    const int right = std::min(width_ - 1, static_cast<int>(std::ceil(std::max(a.x, b.x) + reach)));
    const int top = std::max(0, static_cast<int>(std::floor(std::min(a.y, b.y) - reach)));
    const int bottom = std::min(height_ - 1, static_cast<int>(std::ceil(std::max(a.y, b.y) + reach)));
    for (int y = top; y <= bottom; ++y)
      for (int x = left; x <= right; ++x) {
        const Point centre{static_cast<float>(x) + 0.5F, static_cast<float>(y) + 0.5F};
        float& covered = coverage[static_cast<std::size_t>(y) * width_ + x];
        covered = std::max(covered, std::clamp(reach - distance_to_segment(centre, a, b), 0.0F, 1.0F));
      }
  }
  for (int y = 0; y < height_; ++y)
    for (int x = 0; x < width_; ++x) {
      const float covered = coverage[static_cast<std::size_t>(y) * width_ + x];
      if (covered > 0) blend(x, y, covered, colour);
    }
}

float Canvas::text_width(std::string_view text, float pixels_high) {
  const float scale = stbtt_ScaleForPixelHeight(&font(), pixels_high);
  float width = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    width += advance(text[i], i + 1 < text.size() ? text[i + 1] : '\0', scale);
  return width;
}

float Canvas::draw_text(std::string_view text, Point anchor, float pixels_high, Colour colour, Align align) {
  const float width = text_width(text, pixels_high);
  const float scale = stbtt_ScaleForPixelHeight(&font(), pixels_high);
  float x = anchor.x - (align == Align::kLeft ? 0 : align == Align::kCentre ? width / 2 : width);
  const int baseline = static_cast<int>(std::lround(anchor.y));
  std::vector<unsigned char> glyph;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const float whole = std::floor(x), shift = x - whole;
    int left = 0, top = 0, right = 0, bottom = 0;
    stbtt_GetCodepointBitmapBoxSubpixel(&font(), glyph_code(text[i]), scale, scale, shift, 0, &left, &top,
                                        &right, &bottom);
    const int columns = right - left, rows = bottom - top;
    glyph.assign(static_cast<std::size_t>(columns) * rows, 0);
    if (!glyph.empty())
      stbtt_MakeCodepointBitmapSubpixel(&font(), glyph.data(), columns, rows, columns, scale, scale, shift, 0,
                                        glyph_code(text[i]));
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        blend(static_cast<int>(whole) + left + column, baseline + top + row,
              static_cast<float>(glyph[static_cast<std::size_t>(row) * columns + column]) / 255, colour);
    x += advance(text[i], i + 1 < text.size() ? text[i + 1] : '\0', scale);
  }
  return width;
}

void Canvas::write_png(const std::filesystem::path& path) const {
  std::vector<unsigned char> bytes;
  bytes.reserve(pixels_.size() * 3);
  for (const Colour& pixel : pixels_)
    for (float value : {pixel.red, pixel.green, pixel.blue})
      bytes.push_back(static_cast<unsigned char>(256 * std::clamp(value, 0.0F, 0.999F)));
  std::string png;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  check(stbi_write_png_to_func(append, &png, width_, height_, 3, bytes.data(), 3 * width_) != 0,
        "{} cannot be written: there is not enough memory to compress it", path.string());
  write_file_atomically(path, png);
}

}  // namespace tdds
