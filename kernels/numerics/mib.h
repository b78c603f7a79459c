#pragma once
// Bytes in MiB, for messages.

#include <cstddef>

namespace tdds {

constexpr double mib(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace tdds
