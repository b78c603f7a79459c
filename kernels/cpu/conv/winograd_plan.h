#pragma once
// Shared by winograd_output.cpp and winograd_filter.cpp.

#include <algorithm>

#include "kernels/cpu/conv/conv2d_pass.h"
#include "kernels/cpu/conv/winograd_kernels.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu::winograd {

std::unique_ptr<Conv2dPass> make_output_pass(const Conv2dSpec& spec, Direction direction,
                                             const Kernels& kernels);
std::unique_ptr<Conv2dPass> make_filter_pass(const Conv2dSpec& spec, const Kernels& kernels);

// Divides `whole` into `count` pieces of `size`, a multiple of `unit`; the last piece may be shorter.
struct Cut {
  std::int64_t whole, size, count;

  Cut(std::int64_t whole_size, std::int64_t pieces, std::int64_t unit)
      : whole(whole_size),
        size(round_up(ceil_div(whole_size, pieces), unit)),
        count(ceil_div(whole_size, size)) {}
  Range operator[](std::int64_t i) const { return {i * size, std::min(size, whole - i * size)}; }
};

// Whether threads would spend more than a sixth of their time waiting for the last of `tasks` equal tasks.
inline bool threads_wait(std::int64_t tasks, std::int64_t threads) {
  return 5 * ceil_div(tasks, threads) * threads > 6 * tasks;
}

// Distance between rows or frequencies of `floats` floats: an odd number of cache lines. The same element of
// 36 frequencies, or of many rows, is accessed in turn; with a power of two they would all map to one cache
// set.
inline std::int64_t odd_lines(std::int64_t floats) {
  constexpr std::int64_t kLine = 16;
  return (ceil_div(floats, kLine) | 1) * kLine;
}

inline std::int64_t count_tiles(const Conv2dSpec& s) {
  return s.batch * ceil_div(s.height, kTile) * ceil_div(s.width, kTile);
}

// The number of threads that a pass of this shape keeps busy.
inline int threads_of(const Conv2dSpec& s) {
  return threads_for(kFrequencies * count_tiles(s) * s.channels * s.out_channels / kProductsAValue);
}

}  // namespace tdds::cpu::winograd
