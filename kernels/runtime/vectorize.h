#pragma once
// Compiles one source of a loop for each instruction set that isa() can return, without -march flags for the
// whole program.
//
//   struct Scale {
//     [[gnu::always_inline]] static inline void run(const float* x, float* y, std::int64_t n) { ... }
//   };
//   run_vectorized<Scale>(x, y, n);
//
// Code whose types depend on the compiler's flags needs a source file per instruction set instead:
// kernels/cpu/conv/winograd_kernels.h. `run` must be always_inline, so that it is compiled for the
// instruction set of the function that it is inlined into. Results of two instruction sets may differ in the
// last bit (fused multiply-add); with one instruction set they are always the same.

#include "kernels/runtime/isa.h"

namespace tdds::cpu {

template <class Kernel, class... Args>
auto run_generic(Args... args) {
  return Kernel::run(args...);
}
template <class Kernel, class... Args>
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]]
#endif
auto run_avx2(Args... args) {
  return Kernel::run(args...);
}
template <class Kernel, class... Args>
#if defined(__x86_64__)
[[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]]
#endif
auto run_avx512(Args... args) {
  return Kernel::run(args...);
}

template <class Kernel, class... Args>
auto run_vectorized(Args... args) {
  return variant_for(isa(), &run_generic<Kernel, Args...>, &run_avx2<Kernel, Args...>,
                     &run_avx512<Kernel, Args...>)(args...);
}

}  // namespace tdds::cpu
