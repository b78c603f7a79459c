// Winograd's kernels for one instruction set: see winograd_simd.h.
#if defined(__x86_64__)
#define TDDS_WINOGRAD_ISA avx512
#include "kernels/cpu/winograd_simd.h"
#endif
