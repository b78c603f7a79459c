#pragma once
// Integers rounded up: value >= 0, unit > 0. Always inline: an out-of-line copy compiled for one instruction
// set (kernels/cpu/conv/winograd_kernels.h) could be linked into all of them.

#include <type_traits>

namespace tdds {

template <class T>
[[gnu::always_inline]] constexpr T ceil_div(T value, std::type_identity_t<T> unit) {
  return (value + unit - 1) / unit;
}

template <class T>
[[gnu::always_inline]] constexpr T round_up(T value, std::type_identity_t<T> unit) {
  return ceil_div(value, unit) * unit;
}

}  // namespace tdds
