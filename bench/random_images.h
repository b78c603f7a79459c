#pragma once
// Images of random bytes, for benchmarks.

#include <cstdint>

#include "engine/data/dataset.h"
#include "kernels/numerics/philox.h"

namespace tdds {

// n images of side x side pixels, a multiple of 2, whose labels go through the classes in turn.
inline ImageSet random_images(std::int64_t n, std::int32_t side, std::int32_t classes) {
  ImageSet set{.height = side, .width = side, .images = {}, .labels = {}};
  for (std::int64_t i = 0; i < 3 * n * side * side; i += 4) {
    const PhiloxWords words = philox(1, Purpose::kTest, 0, i);
    for (std::uint32_t word : words.w) set.images.push_back(static_cast<std::uint8_t>(word));
  }
  for (std::int64_t i = 0; i < n; ++i) set.labels.push_back(static_cast<std::int32_t>(i % classes));
  return set;
}

}  // namespace tdds
