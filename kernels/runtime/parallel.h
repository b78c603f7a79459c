#pragma once
// Parallel loops over the OpenMP threads. The result of one call of `body` must depend only on its index,
// never on the number of threads. All results are then bit-equal on machines with the same instruction set.
// `body` must not throw.

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "kernels/numerics/round_up.h"

namespace tdds::cpu {

// A parallel region costs a few microseconds, and as much again for every thread that spins while it waits if
// another process occupies a core (kernels/runtime/thread_waiting.h). Loops with less work than this stay on
// the calling thread. The unit of work is one value read by simple arithmetic, about 0.3 ns; work depends on
// the shape alone. With this grain a narrow network keeps its speed next to busy processes, and one of width
// 0.25 loses nothing without them.
inline constexpr std::int64_t kGrain = 262144;

// Products that vector units sum in the time of one unit of work.
inline constexpr std::int64_t kProductsAValue = 8;

// The number of threads for a region with that much work.
inline int threads_for(std::int64_t work) {
  return work < kGrain ? 1 : omp_get_max_threads();
}

// While it exists, code called by this thread uses one OpenMP thread, as inside a parallel region. A oneDNN
// primitive is created for the number of threads that OpenMP has at that time.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

// Calls body(i) for i = 0 .. n - 1; `work` is that of one call.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t work, const Body& body) {
  if (n > 1 && n * work >= kGrain) {
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) body(i);
  } else {
    for (std::int64_t i = 0; i < n; ++i) body(i);
  }
}

// Calls body(begin, end) for ranges of `block` indices that cover 0 .. n - 1; the last one may be shorter.
// `work` is that of one index.
template <class Body>
void parallel_blocks(std::int64_t n, std::int64_t block, std::int64_t work, const Body& body) {
  parallel_for(ceil_div(n, block), std::min(n, block) * work,
               [&](std::int64_t i) { body(i * block, std::min(n, (i + 1) * block)); });
}

}  // namespace tdds::cpu
