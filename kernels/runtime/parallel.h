#pragma once
// Loops over the OpenMP threads. What one call of `body` computes may depend on its index alone, never on the
// number of threads: that keeps every result the same, bit for bit, on any machine of one instruction set.
// `body` may not throw.

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "kernels/numerics/round_up.h"

namespace tdds::cpu {

// A parallel region costs some microseconds, and where another process has a core, as much again for every
// thread that spins while it waits (kernels/runtime/thread_waiting.h). Loops with less work than this stay on
// the calling thread. Work is counted in values read by simple arithmetic, about 0.3 ns each, and is a
// function of the shape alone. At this grain a narrow net keeps its speed beside busy neighbours, and one of
// width 0.25 loses nothing when it is alone.
inline constexpr std::int64_t kGrain = 262144;

// Products that vector units sum in the time of one such value.
inline constexpr std::int64_t kProductsAValue = 8;

// The threads for a region with that much work.
inline int threads_for(std::int64_t work) {
  return work < kGrain ? 1 : omp_get_max_threads();
}

// Makes what the calling thread calls use one thread, as inside a parallel region. A oneDNN primitive is made
// for as many threads as OpenMP has at that time.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

// body(i) for i = 0 .. n - 1, each with `work`.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t work, const Body& body) {
  if (n > 1 && n * work >= kGrain) {
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) body(i);
  } else {
    for (std::int64_t i = 0; i < n; ++i) body(i);
  }
}

// body(begin, end) for the ranges of `block` indices, the last one shorter, that cover 0 .. n - 1; `work` for
// one index.
template <class Body>
void parallel_blocks(std::int64_t n, std::int64_t block, std::int64_t work, const Body& body) {
  parallel_for(ceil_div(n, block), std::min(n, block) * work,
               [&](std::int64_t i) { body(i * block, std::min(n, (i + 1) * block)); });
}

}  // namespace tdds::cpu
