#pragma once
// Loads and stores several consecutive values as floats: in 16-byte accesses where they fill them, else one
// by one.

#include <type_traits>
#include <utility>

#include "kernels/gpu/gpu.h"

namespace tdds::TDDS_GPU {

// The number of values of T in one 16-byte access.
template <class T>
inline constexpr int kVector = 16 / sizeof(T);

// Calls function(T{}, width) with the storage type of an activation and, as a constant, the values of a row
// of `channels` that are loaded at a time: those of 16 bytes where these divide the row, else one.
template <class Function>
void with_float_vectors(const char* kernel, DType type, std::int32_t channels, Function function) {
  with_float_type(kernel, type, [&](auto zero) {
    using T = decltype(zero);
    if (channels % kVector<T> == 0)
      function(zero, std::integral_constant<int, kVector<T>>{});
    else
      function(zero, std::integral_constant<int, 1>{});
  });
}

template <int N>
struct Floats {
  float v[N];
};

// Where N values are a multiple of 16 bytes, `from` is aligned to 16 bytes.
template <int N, class T>
__device__ Floats<N> load(const T* from) {
  Floats<N> values;
  if constexpr (N * sizeof(T) % 16 == 0) {
    for (int i = 0; i < N; i += kVector<T>) {
      const Pack16<T> pack = load16(from + i);
      for (int j = 0; j < kVector<T>; ++j) values.v[i + j] = to_float(pack.v[j]);
    }
  } else {
    for (int i = 0; i < N; ++i) values.v[i] = to_float(from[i]);
  }
  return values;
}

template <int N, class T>
__device__ void store(T* to, const Floats<N>& values) {
  if constexpr (N * sizeof(T) % 16 == 0) {
    for (int i = 0; i < N; i += kVector<T>) {
      Pack16<T> pack;
      for (int j = 0; j < kVector<T>; ++j) pack.v[j] = from_float<T>(values.v[i + j]);
      store16(to + i, pack);
    }
  } else {
    for (int i = 0; i < N; ++i) to[i] = from_float<T>(values.v[i]);
  }
}

// N consecutive values as they are stored, in as few registers: 16 bytes, or a single value.
template <int N, class T>
struct Packed {
  static_assert(N * sizeof(T) == 16 || N == 1);
  std::uint32_t words[N == 1 ? 1 : 4] = {};

  __device__ float at(int j) const {
    if constexpr (sizeof(T) == sizeof(float)) {
      float value;
      memcpy(&value, &words[j], sizeof(value));
      return value;
    } else {
      return to_float(T{static_cast<std::uint16_t>(words[j / 2] >> (j % 2 * 16))});
    }
  }
};

// Where N values are 16 bytes, `from` is aligned to them.
template <int N, class T>
__device__ Packed<N, T> load_packed(const T* from) {
  Packed<N, T> packed;
  if constexpr (N == 1) {
    const T value = *from;
    memcpy(packed.words, &value, sizeof(value));
  } else {
    const Pack16<T> pack = load16(from);
    memcpy(packed.words, &pack, sizeof(pack));
  }
  return packed;
}

template <int N>
__device__ Floats<N> filled(float value) {
  Floats<N> values;
  for (int i = 0; i < N; ++i) values.v[i] = value;
  return values;
}

// Calls step(integral constant i) for i = 0 .. kCount - 1. An array indexed by i stays in registers.
template <int kCount, class Step>
__device__ void unrolled(Step step) {
  [&]<int... i>(std::integer_sequence<int, i...>) {
    (step(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, kCount>{});
}

// Calls step(integral constant N, i) for the items of 0 .. n - 1 that belong to a thread: with N = kWide, and
// for the items left at the end where kWide does not divide n, with N = 1.
template <int kWide, class Step>
__device__ void for_each_vector(std::int64_t thread, std::int64_t n, Step step) {
  const std::int64_t first = thread * kWide;
  if (first + kWide <= n)
    step(std::integral_constant<int, kWide>{}, first);
  else
    for (std::int64_t i = first; i < n; ++i) step(std::integral_constant<int, 1>{}, i);
}

// The same for the thread of a one-dimensional launch.
template <int kWide, class Step>
__device__ void for_each_vector(std::int64_t n, Step step) {
  for_each_vector<kWide>(global_thread(), n, step);
}

}  // namespace tdds::TDDS_GPU
