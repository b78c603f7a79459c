#pragma once
// The pixels of a decoded image.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "kernels/runtime/check.h"

#ifndef TDDS_MAX_PIXELS
#define TDDS_MAX_PIXELS 100'000'000  // fuzzers lower it
#endif

namespace tdds {

constexpr std::int64_t kMaxPixels = TDDS_MAX_PIXELS;

// Throws Error that names `file` if an image announces no pixels, or more than kMaxPixels.
inline void check_size(std::int64_t width, std::int64_t height, const std::string& file) {
  check(width > 0 && height > 0, "{} is damaged (it has no pixels): restore or remove it.", file);
  check(height <= kMaxPixels / width, "{} announces {} x {} pixels, more than {}: remove it.", file, width,
        height, kMaxPixels);
}

struct Picture {
  struct Free {
    void operator()(std::uint8_t* pixels) const { std::free(pixels); }
  };

  int width = 0, height = 0;
  std::unique_ptr<std::uint8_t[], Free> pixels;  // [height, width, 3]
};

}  // namespace tdds
