#pragma once
// Arrays between Python and the engine. An argument may be any array on the host with DLPack or the buffer
// protocol, contiguous or not. Every function throws UsageError that names the argument.

#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/numerics/half.h"
#include "kernels/numerics/half_convert.h"
#include "kernels/runtime/check.h"

namespace tdds::python {

namespace nb = nanobind;

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

// An argument is taken as an object and converted here, because nanobind's own error is its list of
// signatures.
inline Array array_of(nb::handle object, const char* name) {
  Array array;
  check_usage(nb::try_cast(object, array),
              "`{}` cannot be read as an array; give a dense array of numbers in the host's memory", name);
  return array;
}

// Calls take(i, value) for the elements of an array of rank 1 or 2, in C order.
template <class T, class Take>
void each_element(const Array& array, Take&& take) {
  const auto rows = static_cast<std::int64_t>(array.shape(0));
  const std::int64_t columns = array.ndim() == 2 ? static_cast<std::int64_t>(array.shape(1)) : 1;
  const std::int64_t row_stride = array.stride(0), column_stride = array.ndim() == 2 ? array.stride(1) : 0;
  const auto* data = static_cast<const std::byte*>(array.data());
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t at = row * row_stride + column * column_stride;
      T value;  // an array may lie at any address, such as a view into a file's bytes
      std::memcpy(&value, data + at * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
      take(row * columns + column, value);
    }
}

inline void check_rank(const Array& array, std::size_t rank, const char* name) {
  check_usage(array.ndim() == rank, "`{}` has {} dimensions; give {}", name, array.ndim(), rank);
}

// A copy in C order. float16 and bfloat16 are widened; `doubles` also accepts float64, which is rounded.
inline std::vector<float> floats(const Array& array, std::size_t rank, const char* name,
                                 bool doubles = false) {
  check_rank(array, rank, name);
  std::vector<float> values(array.size());
  const auto copy = [&]<class T>(T, auto convert) {
    each_element<T>(array,
                    [&](std::int64_t i, T value) { values[static_cast<std::size_t>(i)] = convert(value); });
  };
  constexpr auto kSame = [](auto value) { return static_cast<float>(value); };
  constexpr auto kWider = [](auto value) { return to_float(value); };
  const nb::dlpack::dtype type = array.dtype();
  if (type == nb::dtype<float>())
    copy(float{}, kSame);
  else if (type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && type.bits == 16)
    copy(half_t{}, kWider);
  else if (type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat) && type.bits == 16)
    copy(bf16_t{}, kWider);
  else if (doubles && type == nb::dtype<double>())
    copy(double{}, kSame);
  else
    throw UsageError(fmt::format("`{}` must be float32, float16 or bfloat16{}; convert it", name,
                                 doubles ? ", or float64" : ""));
  return values;
}

// A copy of an array of rank 1 with any type of integers.
inline std::vector<std::int64_t> integers(nb::handle object, const char* name) {
  const Array array = array_of(object, name);
  check_rank(array, 1, name);
  std::vector<std::int64_t> values(array.size());
  const nb::dlpack::dtype type = array.dtype();
  const bool copied =
      [&]<class... T>(std::tuple<T...>) {
        return ((type == nb::dtype<T>() && (each_element<T>(array,
                                                            [&](std::int64_t i, T value) {
                                                              values[static_cast<std::size_t>(i)] =
                                                                  static_cast<std::int64_t>(value);
                                                            }),
                                            true)) ||
                ...);
      }(std::tuple<std::int64_t, std::int32_t, std::int16_t, std::int8_t, std::uint8_t, std::uint16_t,
                   std::uint32_t, std::uint64_t>{});
  check_usage(copied, "`{}` must be an array of integers, such as int64; convert it", name);
  return values;
}

// A new numpy array that owns the values.
template <class T>
nb::ndarray<nb::numpy, T> to_numpy(std::vector<T> values, std::initializer_list<std::size_t> shape) {
  auto* owned = new std::vector<T>(std::move(values));
  nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T>(owned->data(), shape, owner);
}

template <class T>
nb::ndarray<nb::numpy, T> to_numpy(std::vector<T> values) {
  const std::size_t n = values.size();
  return to_numpy(std::move(values), {n});
}

}  // namespace tdds::python
