#pragma once
// One source of a loop, compiled for each instruction set that isa() can name, without -march flags for the
// whole program.
//
//   struct Scale {
//     [[gnu::always_inline]] static inline void run(const float* x, float* y, std::int64_t n) { ... }
//   };
//   run_vectorized<Scale>(x, y, n);
//
// `run` must be always_inline: it takes on the instruction set of the function that it is inlined into. Two
// instruction sets may differ in the last bit (fused multiply-add); within one, nothing varies.

#include "kernels/cpu/isa.h"

namespace tdds::cpu {

#if defined(__x86_64__)
template <class Kernel, class... Args>
[[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]] void run_avx512(Args... args) {
  Kernel::run(args...);
}
template <class Kernel, class... Args>
[[gnu::target("avx2,fma")]] void run_avx2(Args... args) {
  Kernel::run(args...);
}
#endif
template <class Kernel, class... Args>
void run_generic(Args... args) {
  Kernel::run(args...);
}

template <class Kernel, class... Args>
void run_vectorized(Args... args) {
#if defined(__x86_64__)
  if (isa() == Isa::kAvx512) return run_avx512<Kernel>(args...);
  if (isa() == Isa::kAvx2) return run_avx2<Kernel>(args...);
#endif
  run_generic<Kernel>(args...);
}

}  // namespace tdds::cpu
