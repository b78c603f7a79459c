#pragma once
// The variants of the kernel in kernels/gpu/conv3x3.cu, by their mangled names.

#include <optional>
#include <string>
#include <tuple>

#include "kernels/ops/conv3x3.h"

namespace tdds::test {

struct Conv3x3Variant {
  Conv3x3Tile tile;
  Conv3x3Direction direction;
  DType dtype;

  bool operator<(const Conv3x3Variant& other) const {
    return std::tie(tile, direction, dtype) < std::tie(other.tile, other.direction, other.dtype);
  }
};

// Nothing for the symbol of another kernel.
inline std::optional<Conv3x3Variant> conv3x3_variant(const std::string& symbol) {
  // The value 1 of an enumeration is mangled as its name, which its length precedes, and E1E.
  const auto value_of = [&](const std::string& enumeration) {
    const std::size_t at = symbol.find(enumeration + "E");
    return at == std::string::npos ? -1 : symbol[at + enumeration.size() + 1] - '0';
  };
  const int tile = value_of("11Conv3x3Tile"), direction = value_of("16Conv3x3Direction");
  const bool half = symbol.find("6half_t") != std::string::npos;
  if (symbol.find("14conv3x3_kernel") == std::string::npos || tile < 0 || direction < 0) return std::nullopt;
  return Conv3x3Variant{static_cast<Conv3x3Tile>(tile), static_cast<Conv3x3Direction>(direction),
                        half ? DType::kF16 : DType::kBf16};
}

}  // namespace tdds::test
