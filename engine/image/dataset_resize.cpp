#include "engine/image/dataset_resize.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tdds {

namespace {

constexpr int kBits = 14;  // of the weights' fraction: a weight of 1 fits into 16 bits
constexpr std::int32_t kOne = 1 << kBits, kHalf = kOne / 2;

// Each output is a weighted sum of the same number of neighbouring inputs. The weights sum to kOne.
struct Filter {
  int taps = 0;
  std::vector<std::int32_t> first;    // [outputs]
  std::vector<std::int16_t> weights;  // [outputs, taps]
};

void add_output(Filter& filter, double centre, double radius, int inputs) {
  const int first = std::clamp(static_cast<int>(std::floor(centre - radius)), 0, inputs - filter.taps);
  std::vector<double> shares;
  shares.reserve(static_cast<std::size_t>(filter.taps));
  for (int tap = 0; tap < filter.taps; ++tap)
    shares.push_back(std::max(0.0, 1 - std::abs(first + tap + 0.5 - centre) / radius));
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<std::int16_t> weights;
  weights.reserve(shares.size());
  for (const double share : shares)
    weights.push_back(static_cast<std::int16_t>(std::lround(share / sum * kOne)));
  // The rounding error is added to the largest weight, so that a constant area keeps its value.
  const auto largest = std::max_element(shares.begin(), shares.end()) - shares.begin();
  const std::int32_t total = std::accumulate(weights.begin(), weights.end(), 0);
  weights[static_cast<std::size_t>(largest)] =
      static_cast<std::int16_t>(weights[static_cast<std::size_t>(largest)] + kOne - total);
  filter.first.push_back(first);
  filter.weights.insert(filter.weights.end(), weights.begin(), weights.end());
}

Filter make_filter(int inputs, int outputs) {
  const double scale = static_cast<double>(inputs) / outputs, radius = std::max(1.0, scale);
  Filter filter;
  filter.taps = std::min(inputs, static_cast<int>(std::ceil(2 * radius)) + 1);
  for (int out = 0; out < outputs; ++out) add_output(filter, (out + 0.5) * scale, radius, inputs);
  return filter;
}

// The weighted sum of whole rows. Compilers vectorise this loop, which takes most of the time.
void blend_rows(const std::uint8_t* rows, std::size_t bytes, const std::int16_t* weights, int taps,
                std::vector<std::int32_t>& sums, std::uint8_t* out) {
  std::fill(sums.begin(), sums.end(), kHalf);
  std::int32_t* sum = sums.data();
  for (int tap = 0; tap < taps; ++tap, rows += bytes) {
    const std::int16_t weight = weights[tap];
    if (weight == 0) continue;
    for (std::size_t i = 0; i < bytes; ++i) sum[i] += weight * static_cast<std::int16_t>(rows[i]);
  }
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::uint8_t>(sum[i] >> kBits);
}

void blend_columns(const std::uint8_t* row, const Filter& filter, std::uint8_t* out) {
  const std::int16_t* weight = filter.weights.data();
  for (const std::int32_t first : filter.first) {
    const std::uint8_t* pixel = row + std::ptrdiff_t{3} * first;
    std::int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int tap = 0; tap < filter.taps; ++tap, ++weight, pixel += 3) {
      red += *weight * pixel[0];
      green += *weight * pixel[1];
      blue += *weight * pixel[2];
    }
    *out++ = static_cast<std::uint8_t>(red >> kBits);
    *out++ = static_cast<std::uint8_t>(green >> kBits);
    *out++ = static_cast<std::uint8_t>(blue >> kBits);
  }
}

}  // namespace

std::vector<std::uint8_t> resize_image(const std::uint8_t* pixels, int width, int height, int new_width,
                                       int new_height) {
  const Filter down = make_filter(height, new_height), across = make_filter(width, new_width);
  const auto row_bytes = std::size_t{3} * static_cast<std::size_t>(width);
  std::vector<std::uint8_t> out(std::size_t{3} * static_cast<std::size_t>(new_width) *
                                static_cast<std::size_t>(new_height));
  std::vector<std::uint8_t> row(row_bytes);
  std::vector<std::int32_t> sums(row_bytes);
  for (int y = 0; y < new_height; ++y) {
    const auto at = static_cast<std::size_t>(y);
    blend_rows(pixels + static_cast<std::size_t>(down.first[at]) * row_bytes, row_bytes,
               down.weights.data() + at * static_cast<std::size_t>(down.taps), down.taps, sums, row.data());
    blend_columns(row.data(), across, out.data() + at * std::size_t{3} * static_cast<std::size_t>(new_width));
  }
  return out;
}

}  // namespace tdds
