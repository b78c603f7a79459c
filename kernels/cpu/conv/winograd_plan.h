#pragma once
// What the two Winograd plans share.

#include <algorithm>

#include "kernels/cpu/conv2d_pass.h"
#include "kernels/cpu/winograd_kernels.h"

namespace tdds::cpu::winograd {

std::unique_ptr<Conv2dPass> make_output_pass(const Conv2dSpec& spec, Direction direction,
                                             const Kernels& kernels);
std::unique_ptr<Conv2dPass> make_filter_pass(const Conv2dSpec& spec, const Kernels& kernels);

inline std::int64_t divide_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit;
}
inline std::int64_t round_up_to(std::int64_t value, std::int64_t unit) {
  return divide_up(value, unit) * unit;
}

// `count` pieces of `whole`, all but the last of `size`, a multiple of `unit`.
struct Cut {
  std::int64_t whole, size, count;

  Cut(std::int64_t whole_size, std::int64_t pieces, std::int64_t unit)
      : whole(whole_size),
        size(round_up_to(divide_up(whole_size, pieces), unit)),
        count(divide_up(whole_size, size)) {}
  Range operator[](std::int64_t i) const { return {i * size, std::min(size, whole - i * size)}; }
};

// Whether more than a sixth of the threads' time would be spent waiting for the last of `tasks` equal ones.
inline bool threads_wait(std::int64_t tasks, std::int64_t threads) {
  return 5 * divide_up(tasks, threads) * threads > 6 * tasks;
}

// Distance between rows or frequencies of `floats` floats: an odd number of cache lines, because the same
// element of 36 frequencies, or of many rows, is touched in turn, and powers of two would meet in one cache
// set.
inline std::int64_t odd_lines(std::int64_t floats) {
  constexpr std::int64_t kLine = 16;
  return (divide_up(floats, kLine) | 1) * kLine;
}

inline std::int64_t count_tiles(const Conv2dSpec& s) {
  return s.batch * divide_up(s.height, kTile) * divide_up(s.width, kTile);
}

}  // namespace tdds::cpu::winograd
