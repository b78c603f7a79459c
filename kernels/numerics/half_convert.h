#pragma once
// Conversions of 16-bit floating point on the host, rounding to nearest even, with the same bits as on a GPU.
// Every NaN becomes the canonical 0x7FFF.

#include <bit>
#include <cstdint>

#include "kernels/numerics/half.h"

namespace tdds {

inline float to_float(float value) {
  return value;
}

inline float to_float(half_t value) {
  const std::uint32_t sign = (value.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1Fu, mantissa = value.bits & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t rebased = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | rebased << 23 | mantissa << 13);
}

inline float to_float(bf16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

template <class T>
T from_float(float value);

template <>
inline float from_float<float>(float value) {
  return value;
}

template <>
inline half_t from_float<half_t>(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  std::uint32_t half;
  if (magnitude > 0x7F800000u)
    half = 0x7FFFu;
  else if (magnitude >= 0x477FF000u)  // 65520, halfway to the next power of two, and above
    half = 0x7C00u;
  else if (magnitude < 0x38800000u)  // subnormal: adding 0.5 lets the FPU round at bit 2^-24
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
  else
    half = (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1u)) >> 13;
  return {static_cast<std::uint16_t>(sign | half)};
}

template <>
inline bf16_t from_float<bf16_t>(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  // A conditional value and not a branch, so that loops are vectorised.
  return {static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FFFu : rounded)};
}

}  // namespace tdds
