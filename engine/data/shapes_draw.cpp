#include "engine/data/shapes_draw.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kernels/numerics/philox.h"

namespace tdds {

const std::array<const char*, kShapeClasses> kShapeNames{
    "disc",    "ring", "square", "frame",           "triangle",
    "diamond", "plus", "cross",  "horizontal bars", "vertical bars"};

namespace {

// Each sample owns 65,536 Philox counters: parameters from 0, pixel noise and faint noise from these.
constexpr std::uint64_t kCountersPerSample = 1 << 16;
constexpr std::uint64_t kNoiseCounter = 1 << 12, kFaintCounter = 1 << 13;

// A sample's parameters, one word after the other.
class LookDraws {
 public:
  LookDraws(std::uint64_t seed, std::uint32_t split, std::uint64_t id)
      : seed_(seed), split_(split), counter_(id * kCountersPerSample) {}

  // Uniform in low .. high, both included.
  int within(int low, int high) {
    return low + static_cast<int>(scaled(next(), static_cast<std::uint32_t>(high - low + 1)));
  }
  int around_zero(int reach) { return within(-reach, reach); }

 private:
  std::uint32_t next() {
    if (used_ == 4) {
      words_ = philox(seed_, Purpose::kShapes, split_, counter_++);
      used_ = 0;
    }
    return words_.w[used_++];
  }

  std::uint64_t seed_;
  std::uint32_t split_;
  std::uint64_t counter_;
  PhiloxWords words_{};
  int used_ = 4;
};

int between(int easy, int hard, int difficulty) {
  return easy + (hard - easy) * difficulty / 1024;
}

int byte_of(int value) {
  return std::clamp(value, 0, 255);
}

ShapeColour tinted(LookDraws& draws, int brightness, int reach) {
  // Red, green and blue shifts whose weighted sum, and so the brightness, is about 0 (weights 5 : 9 : 2 of
  // 16).
  const int red = draws.around_zero(reach), blue = draws.around_zero(reach);
  const int green = -(5 * red + 2 * blue) / 9;
  return {byte_of(brightness + red), byte_of(brightness + green), byte_of(brightness + blue)};
}

// Whether the point (u, v) lies in the figure; 1024 is its radius, v points down.
bool inside(int shape_class, int u, int v) {
  const int a = std::abs(u), b = std::abs(v);
  const int far = std::max(a, b), near = std::min(a, b), square = u * u + v * v;
  switch (shape_class) {
    case 0:
      return square <= 930 * 930;
    case 1:
      return square <= 1000 * 1000 && square >= 590 * 590;
    case 2:
      return far <= 800;
    case 3:
      return far <= 880 && far >= 520;
    case 4:
      return v <= 760 && v >= -960 && 17 * a <= 10 * (v + 960);
    case 5:
      return 3 * a + 2 * b <= 2100;
    case 6:
      return near <= 270 && far <= 980;
    case 7:
      return far - near <= 400 && far <= 820;
    case 8:
      return a <= 860 && (b <= 190 || (b >= 500 && b <= 880));
    default:
      return b <= 860 && (a <= 190 || (a >= 500 && a <= 880));
  }
}

// The figure's frame of reference: (u, v) = rotation and scaling of (x - centre), in 20 fractional bits.
struct Frame {
  explicit Frame(const ShapeLook& look) : look_(look) {
    const std::int64_t k = look.rotation, length = 64 * 64 + k * k;
    cosine_ = (64 * 64 - k * k) * (std::int64_t{1} << 30) / (length * look.radius);
    sine_ = 128 * k * (std::int64_t{1} << 30) / (length * look.radius);
  }
  bool covers(int shape_class, int x, int y) const {
    const std::int64_t dx = x - look_.x, dy = y - look_.y;
    const int u = static_cast<int>((dx * cosine_ + dy * sine_) >> 20);
    const int v = static_cast<int>((dy * cosine_ - dx * sine_) >> 20);
    return inside(shape_class, u, v);
  }

 private:
  const ShapeLook& look_;
  std::int64_t cosine_, sine_;
};

ShapeColour background_at(const ShapeLook& look, int px, int py) {
  const int reach = 16 * (std::abs(look.slope_x) + std::abs(look.slope_y)) + 1;
  const int along = (px - 16) * look.slope_x + (py - 16) * look.slope_y;  // -reach .. reach
  const int fx = px % 8, fy = py % 8;
  const auto column = static_cast<std::size_t>(px / 8), row = static_cast<std::size_t>(py / 8);
  const int* node = &look.blobs[5 * row + column];
  const int blob = (node[0] * (8 - fx) + node[1] * fx) * (8 - fy) + (node[5] * (8 - fx) + node[6] * fx) * fy;
  ShapeColour colour;
  for (int c = 0; c < 3; ++c)
    colour[c] =
        (look.background[c] * (reach - along) + look.far_background[c] * (reach + along)) / (2 * reach) +
        blob / 64;
  return colour;
}

bool within(int x, int y, int centre_x, int centre_y, int radius) {
  const int dx = x - centre_x, dy = y - centre_y;
  return dx * dx + dy * dy <= radius * radius;
}

// The mean of 4 x 4 points of the pixel.
ShapeColour colour_at(const ShapeLook& look, const Frame& frame, int shape_class, int px, int py) {
  const ShapeColour ground = background_at(look, px, py);
  const int centre_x = 8 * px + 4, centre_y = 8 * py + 4, half_pixel = 6;
  // No figure reaches beyond 1.3 of its radius.
  bool plain = !within(centre_x, centre_y, look.x, look.y, look.radius * 13 / 10 + half_pixel);
  for (const ShapePatch& patch : look.patches)
    plain = plain && !within(centre_x, centre_y, patch.x, patch.y, patch.radius + half_pixel);
  if (plain) return ground;
  ShapeColour sum{};
  for (int point = 0; point < 16; ++point) {
    const int x = 8 * px + 2 * (point % 4) + 1, y = 8 * py + 2 * (point / 4) + 1;
    const ShapeColour* seen = frame.covers(shape_class, x, y) ? &look.figure : &ground;
    for (const ShapePatch& patch : look.patches)
      if (within(x, y, patch.x, patch.y, patch.radius)) seen = &patch.colour;
    for (int c = 0; c < 3; ++c) sum[c] += (*seen)[c];
  }
  return {sum[0] / 16, sum[1] / 16, sum[2] / 16};
}

void add_noise(std::uint64_t seed, std::uint32_t split, std::uint64_t counter, int sixteenths,
               std::uint8_t* pixels) {
  for (int pixel = 0; pixel < kShapeSide * kShapeSide; ++pixel) {
    const PhiloxWords words =
        philox(seed, Purpose::kShapes, split, counter + static_cast<std::uint64_t>(pixel));
    for (int c = 0; c < 3; ++c) {
      // The sum of 4 bytes is near-normal with mean 510 and standard deviation 147.8.
      const std::uint32_t w = words.w[c];
      const int sum = static_cast<int>((w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24)) - 510;
      std::uint8_t& value = pixels[3 * pixel + c];
      value = static_cast<std::uint8_t>(byte_of(value + sum * sixteenths / (148 * 16)));
    }
  }
}

}  // namespace

ShapeLook draw_look(std::uint64_t seed, std::uint32_t split, std::uint64_t id) {
  LookDraws draws(seed, split, id);
  ShapeLook look{};
  const int d = look.difficulty = draws.within(0, 1024);
  look.radius = between(98, 64, d) + draws.around_zero(8);
  const int drift = between(8, 32, d);
  look.x = 128 + draws.around_zero(drift);
  look.y = 128 + draws.around_zero(drift);
  look.rotation = draws.around_zero(between(1, 9, d));

  const int contrast = between(130, 46, d) + draws.around_zero(6);
  const int dark = draws.within(24, 228 - contrast);
  const bool light_figure = draws.within(0, 1) == 1;
  look.figure = tinted(draws, light_figure ? dark + contrast : dark, 70);
  const int ground = light_figure ? dark : dark + contrast;
  look.background = tinted(draws, ground, 45);
  look.far_background = tinted(draws, ground, 45);
  look.slope_x = draws.around_zero(8);
  look.slope_y = draws.around_zero(8);
  const int blob_reach = between(6, 28, d);
  for (int& blob : look.blobs) blob = draws.around_zero(blob_reach);

  const int patches = (d * 4 + 512) / 1024;
  for (int i = 0; i < patches; ++i) {
    ShapePatch patch{};
    patch.x = look.x + draws.around_zero(look.radius);
    patch.y = look.y + draws.around_zero(look.radius);
    patch.radius = look.radius * draws.within(22, 40) / 100;
    patch.colour = tinted(draws, draws.within(24, 228), 60);
    look.patches.push_back(patch);
  }
  look.noise = between(40, 320, d);
  return look;
}

void render_shape(const ShapeLook& look, int shape_class, std::uint64_t seed, std::uint32_t split,
                  std::uint64_t noise_id, std::uint8_t* pixels) {
  const Frame frame(look);
  for (int py = 0; py < kShapeSide; ++py) {
    for (int px = 0; px < kShapeSide; ++px) {
      const ShapeColour colour = colour_at(look, frame, shape_class, px, py);
      for (int c = 0; c < 3; ++c) *pixels++ = static_cast<std::uint8_t>(byte_of(colour[c]));
    }
  }
  add_noise(seed, split, noise_id * kCountersPerSample + kNoiseCounter, look.noise,
            pixels - 3 * kShapeSide * kShapeSide);
}

void add_faint_noise(std::uint64_t seed, std::uint32_t split, std::uint64_t id, int sixteenths,
                     std::uint8_t* pixels) {
  add_noise(seed, split, id * kCountersPerSample + kFaintCounter, sixteenths, pixels);
}

}  // namespace tdds
