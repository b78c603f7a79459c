#pragma once
// Loops over the OpenMP threads. What one call of `body` computes may depend on its index alone, never on the
// number of threads: that keeps every result the same, bit for bit, on any machine of one instruction set.
// `body` may not throw.

#include <algorithm>
#include <cstdint>

namespace tdds::cpu {

// body(i) for i = 0 .. n - 1.
template <class Body>
void parallel_for(std::int64_t n, const Body& body) {
#pragma omp parallel for schedule(static) if (n > 1)
  for (std::int64_t i = 0; i < n; ++i) body(i);
}

// body(begin, end) for the ranges of `block` indices, the last one shorter, that cover 0 .. n - 1.
template <class Body>
void parallel_blocks(std::int64_t n, std::int64_t block, const Body& body) {
  parallel_for((n + block - 1) / block,
               [&](std::int64_t i) { body(i * block, std::min(n, (i + 1) * block)); });
}

}  // namespace tdds::cpu
